"""The far half of test/models/roundtrip.test.ts: opens models that Chainrule saved in real Keras.

Usage: keras-roundtrip.py FOLDER, which holds jobs.json, a list of
  {"name", "model", "inputs": [{"file", "shape", "dtype"} or {"texts"}], "saved", "outputs", "train": {"target", "shape", "epochs", "batch"}}.
Each model is loaded, trained where asked, run on the inputs and saved again; its outputs go to files of float32, and
results.json tells the shapes, or what went wrong.
"""
import json
import os
import sys
import traceback
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import keras
import numpy as np


def read(folder, array):
    if "texts" in array:
        import tensorflow as tf

        return tf.constant(array["texts"])
    data = np.fromfile(os.path.join(folder, array["file"]), dtype=array["dtype"])
    return data.reshape(array["shape"])


def run(folder, job):
    model = keras.models.load_model(os.path.join(folder, job["model"]))
    inputs = [read(folder, array) for array in job["inputs"]]
    fed = inputs[0] if len(inputs) == 1 else inputs
    result = {"name": job["name"], "class": type(model).__name__}
    if "train" in job:
        train = job["train"]
        target = read(folder, train["target"])
        history = model.fit(
            fed, target, epochs=train["epochs"], batch_size=train["batch"], shuffle=False, verbose=0
        )
        result["loss"] = [float(value) for value in history.history["loss"]]
        result["iterations"] = int(model.optimizer._iterations)  # with accumulation, the public one counts updates
    outputs = keras.tree.flatten(model(fed, training=False))
    result["outputs"] = []
    for i, output in enumerate(outputs):
        value = keras.ops.convert_to_numpy(output).astype("float32")
        name = f"{job['outputs']}.{i}"
        value.tofile(os.path.join(folder, name))
        result["outputs"].append({"file": name, "shape": list(value.shape)})
    model.save(os.path.join(folder, job["saved"]))
    return result


def main(folder):
    with open(os.path.join(folder, "jobs.json")) as file:
        jobs = json.load(file)
    results = []
    for job in jobs:
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = run(folder, job)
            result["warnings"] = [str(one.message) for one in caught if not issubclass(one.category, DeprecationWarning)]
            results.append(result)
        except Exception as error:  # reported to the test, which names the case
            results.append({"name": job["name"], "error": f"{type(error).__name__}: {error}"[-1500:]})
            traceback.print_exc(file=sys.stderr)
        keras.backend.clear_session()
    with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump({"keras": keras.__version__, "results": results}, file)


main(sys.argv[1])

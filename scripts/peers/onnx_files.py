"""Writes the ONNX files of the inference workloads into the folder that is the first argument (needs torch, onnx, onnxscript;
the integer ones also onnxruntime)."""
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from protocol import glorot, uniform
import torch_images
from torch_sequences import Encoder

FOLDER = Path(sys.argv[1])


def save(name, nodes, constants, inputs, output):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    initializers = [numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, [value(*item) for item in inputs], [value("y", output)], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    onnx.save(model, FOLDER / f"{name}.onnx")


def mlp(name, sizes, last=None):
    nodes, constants, x = [], {}, "x"
    for i, (inputs, units) in enumerate(zip(sizes, sizes[1:])):
        end = i == len(sizes) - 2
        constants |= {f"w{i}": glorot(1000 + i, inputs, units), f"b{i}": np.zeros(units, np.float32)}
        sums = "y" if end and not last else f"sums{i}"
        nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [sums]))
        x = sums
        if not end or last:
            x = "y" if end else f"x{i}"
            nodes.append(helper.make_node(last if end else "Relu", [sums], [x]))
    save(name, nodes, constants, [("x", ["n", sizes[0]])], ["n", sizes[-1]])


def export(name, model, x):
    with torch.no_grad():
        torch.onnx.export(
            model.eval(),
            (x,),
            FOLDER / f"{name}.onnx",
            input_names=["x"],
            output_names=["y"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def integers():
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

    class Batches(CalibrationDataReader):
        seeds = iter(range(1, 4))

        def get_next(self):
            seed = next(self.seeds, None)
            return seed and {"x": uniform(seed, 128, 1, 28, 28)}

    quantize_dynamic(FOLDER / "dense.onnx", FOLDER / "dense_int8.onnx", weight_type=QuantType.QInt8)
    formats = dict(quant_format=QuantFormat.QDQ, per_channel=True)
    quantize_static(FOLDER / "convnet.onnx", FOLDER / "convnet_int8.onnx", Batches(), **formats)


FOLDER.mkdir(parents=True, exist_ok=True)
for n in (512, 1024, 2048):
    product = helper.make_node("MatMul", ["x", "b"], ["y"])
    save(f"product{n}", [product], {}, [("x", [n, n]), ("b", [n, n])], [n, n])
mlp("dense", [1024, 1024])
mlp("tiny", [8, 16, 16, 3], "Softmax")
ROWS = [8192, 1024]
gamma_beta = {"gamma": np.ones(1024, np.float32), "beta": np.zeros(1024, np.float32)}
for name, node, constants in (
    ("softmax", helper.make_node("Softmax", ["x"], ["y"]), {}),
    ("layernorm", helper.make_node("LayerNormalization", ["x", "gamma", "beta"], ["y"], epsilon=1e-3), gamma_beta),
    ("gelu", helper.make_node("Gelu", ["x"], ["y"]), {}),
    ("exp", helper.make_node("Exp", ["x"], ["y"]), {}),
):
    save(name, [node], constants, [("x", ROWS)], ROWS)
export("convnet", torch_images.network("W5"), torch_images.images("W5", "inf"))
export("inverted", torch_images.network("W8"), torch_images.images("W8", "inf"))
export("encoder", Encoder(), torch.zeros(32, 128, 256))
for count in (1, 8):
    export(f"resnet50_{count}", torch_images.resnet50(), torch_images.images("W7", f"inf{count}"))
try:
    integers()
except ImportError:
    print("no files with integer weights: onnxruntime is missing (pip install onnxruntime)", file=sys.stderr)
(FOLDER / "complete").touch()

"""Keras's side of the benchmark, by default on JAX: fit as its users call it (see protocol.py)."""
import os
import sys

THREADS = int(sys.argv[1])
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import keras
import numpy as np
from keras import layers

from protocol import glorot, integers, serve, uniform

if keras.backend.backend() == "tensorflow":
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)

TRAINS = ("W3", "W4", "W9", "W10", "W11", "W12", "W14")


def variants(workload, unit):
    if workload in ("W20", "W21"):
        return ["fit", "fit 32 steps a call"]
    return ["fit"] if (workload in TRAINS or workload == "W5") and unit.startswith("tr") else []


def fixed_weights(model, seed_of=lambda kernel: 1000 + kernel):
    """kernels by formula, all else as Keras starts it; kernels of attention with a head axis count as square matrices"""
    kernels = 0
    for weight in model.trainable_weights:
        name, shape = weight.path.split("/")[-1], tuple(weight.shape)
        if name not in ("kernel", "recurrent_kernel", "embeddings"):
            continue
        seed, side = seed_of(kernels), int(np.prod(shape) ** 0.5)
        kernels += 1
        if name == "embeddings":
            weight.assign(uniform(seed, *shape) * np.float32(0.05))
        else:
            weight.assign(glorot(seed, side, side).reshape(shape) if len(shape) == 3 else glorot(seed, *shape))
    return model


def mlp(sizes, last):
    hidden = [layers.Dense(units, activation="relu") for units in sizes[1:-1]]
    return keras.Sequential([keras.Input((sizes[0],)), *hidden, layers.Dense(sizes[-1], activation=last)])


def convnet(dropout):
    conv = lambda filters: layers.Conv2D(filters, 3, activation="relu")
    body = [conv(32), layers.MaxPooling2D(2), conv(64), layers.MaxPooling2D(2), layers.Flatten()]
    drop = [layers.Dropout(0.5)] if dropout else []
    return keras.Sequential([keras.Input((28, 28, 1)), *body, *drop, layers.Dense(10, activation="softmax")])


def encoder():
    inputs = x = keras.Input((128, 256))
    for _ in range(2):
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.MultiHeadAttention(4, 64)(x, x))
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.Dense(256)(layers.Dense(1024, activation="relu")(x)))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def recurrent(cell, *shape):
    return keras.Sequential([keras.Input(shape), cell, layers.Dense(2)])


def sentiment():
    body = [layers.Embedding(20_000, 16), layers.GlobalAveragePooling1D(), layers.Dense(16, activation="relu")]
    return keras.Sequential([keras.Input((256,), dtype="int32"), *body, layers.Dense(1)])


SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
FROM_LOGITS = {
    SPARSE: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    BINARY: keras.losses.BinaryCrossentropy(from_logits=True),
}


def training(make, loss, x, y, steps, seed_of=lambda kernel: 1000 + kernel):
    def compiled(dropout):
        model = fixed_weights(make(dropout), seed_of)
        model.compile(optimizer=keras.optimizers.Adam(epsilon=1e-7), loss=loss)
        return model

    plain = compiled(False)
    for _ in range(10):
        plain.train_on_batch(x, y)
    after = float(plain.evaluate(x, y, batch_size=len(x), verbose=0))
    model, xs, ys = compiled(True), np.concatenate([x] * steps), np.concatenate([y] * steps)
    return after, lambda: model.fit(xs, ys, batch_size=len(x), shuffle=False, verbose=0), steps


def epoch(workload, steps):
    quickstart = workload == "W20"
    rows, size = (10_000, 32) if quickstart else (60_000, 128)
    x = uniform(1, rows, 20 if quickstart else 784)
    y = integers(2, 2, rows, 1).astype("float32") if quickstart else integers(2, 10, rows)
    model = mlp([20, 64, 1], "sigmoid") if quickstart else mlp([784, 512, 256, 10], "softmax")
    loss = BINARY if quickstart else SPARSE
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], steps_per_execution=steps)
    return None, lambda: model.fit(x, y, batch_size=size, verbose=0)


def prepare(workload, unit, variant):
    if workload in ("W20", "W21"):
        return epoch(workload, 32 if "32" in variant else 1)
    if workload == "W3":
        rows = int(unit[2:])
        y = integers(2, 2, rows, 1).astype("float32")
        return training(lambda _: mlp([32, 128, 64, 1], "sigmoid"), BINARY, uniform(1, rows, 32), y, 200)
    if workload == "W4":
        network = lambda _: mlp([784, 512, 256, 10], "softmax")
        return training(network, SPARSE, uniform(1, 128, 784), integers(2, 10, 128), 50)
    if workload == "W5":
        return training(convnet, SPARSE, uniform(1, 128, 28, 28, 1), integers(2, 10, 128), 8)
    if workload == "W9":
        network = lambda _: recurrent(layers.LSTM(128), 100, 128)
        return training(network, FROM_LOGITS[SPARSE], uniform(1, 32, 100, 128), integers(2, 2, 32), 8)
    if workload == "W10":
        network = lambda _: recurrent(layers.GRU(256), 50, 64)
        return training(network, FROM_LOGITS[SPARSE], uniform(1, 64, 50, 64), integers(2, 2, 64), 8)
    if workload == "W11":
        ids, y = integers(1, 20_000, 512, 256).astype("int32"), integers(2, 2, 512, 1).astype("float32")
        return training(lambda _: sentiment(), FROM_LOGITS[BINARY], ids, y, 10)
    if workload == "W12":
        seed_of = lambda kernel: 1000 + 10 * (kernel // 6) + kernel % 6 if kernel < 12 else 1100
        x, y = uniform(1, 32, 128, 256), integers(2, 10, 32)
        return training(lambda _: encoder(), FROM_LOGITS[SPARSE], x, y, 2, seed_of)
    x = uniform(1, 256, 784) * np.float32(0.5) + np.float32(0.5)
    return training(lambda _: mlp([784, 256, 64, 256, 784], "sigmoid"), "mse", x, x, 30)


serve(variants, prepare)

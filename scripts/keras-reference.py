"""Numbers of real Keras for test/models/keras.test.ts, on standard output as JSON. They are stored in
test/models/keras-reference.json; nothing here runs with the tests.

    python -m venv keras-venv && keras-venv/bin/pip install keras==3.15.1 tensorflow-cpu
    KERAS_BACKEND=tensorflow keras-venv/bin/python scripts/keras-reference.py > test/models/keras-reference.json

Weights and inputs are set by a formula on both sides, so the file holds results only.
"""

import json
import math

import keras
import numpy as np
from keras import layers, ops


def wave(shape, phase):
    """The formula of the test: sin(0.7 i + phase) / 2, row-major, rounded to float32."""
    count = math.prod(shape)
    return np.array([math.sin(0.7 * i + phase) / 2 for i in range(count)], "float32").reshape(shape)


def set_all(model):
    for i, variable in enumerate(model.trainable_variables):
        variable.assign(wave(variable.shape, i + 1))


def numbers(array):
    return [float(x) for x in np.asarray(array).ravel()]


class Twice(keras.Model):
    """One normalisation called twice in a call: both calls see the batch and both move the statistics, one after the other."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization(momentum=0.8)
        self.dense = layers.Dense(1)

    def call(self, x, training=False):
        once = self.norm(x, training=training)
        return self.dense(self.norm(ops.tanh(once) * 2 + 1, training=training))


def batch_norm_twice():
    model = Twice()
    x, y = wave((6, 3), 0), wave((6, 1), 9)
    model(x)
    set_all(model)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mean_squared_error")
    history = model.fit(x, y, batch_size=6, epochs=3, shuffle=False, verbose=0)
    return {
        "loss": history.history["loss"],
        "gamma": numbers(model.norm.gamma),
        "beta": numbers(model.norm.beta),
        "movingMean": numbers(model.norm.moving_mean),
        "movingVariance": numbers(model.norm.moving_variance),
        "predictions": numbers(model.predict(x, verbose=0)),
    }


def dropout_twice():
    """Statistics: two calls of one layer in one step draw two masks, and the next step draws others."""
    dropout = layers.Dropout(0.4, seed=1)
    inputs = keras.Input((1000,))
    model = keras.Model(inputs, [dropout(inputs), dropout(inputs)])
    first = [np.asarray(out) for out in model(np.ones((20, 1000), "float32"), training=True)]
    second = [np.asarray(out) for out in model(np.ones((20, 1000), "float32"), training=True)]
    zero = [out == 0 for out in [*first, *second]]
    return {
        "zeros": [float(mask.mean()) for mask in zero],
        "kept": float(first[0].max()),
        "bothZero": {"calls": float((zero[0] & zero[1]).mean()), "steps": float((zero[0] & zero[2]).mean())},
    }


class Gan(keras.Model):
    """Two networks, two optimizers, one step: the generator learns against the discriminator that was just updated."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(3)])
        self.discriminator = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(1)])
        self.dis_optimizer = keras.optimizers.Adam(0.01)
        self.gen_optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(self, data):
        import tensorflow as tf

        real, noise = data
        rows = ops.shape(real)[0]
        with tf.GradientTape() as tape:
            fake = self.generator(noise)
            d_loss = self.loss_fn(ops.ones((rows, 1)), self.discriminator(real)) + self.loss_fn(
                ops.zeros((rows, 1)), self.discriminator(fake)
            )
        variables = self.discriminator.trainable_variables
        self.dis_optimizer.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(ops.ones((rows, 1)), self.discriminator(self.generator(noise)))
        variables = self.generator.trainable_variables
        self.gen_optimizer.apply(tape.gradient(g_loss, variables), variables)
        return {"dLoss": d_loss, "gLoss": g_loss}

    def call(self, x):
        return self.discriminator(self.generator(x))


def gan_step():
    model = Gan()
    real, noise = wave((8, 3), 0), wave((8, 2), 5)
    model(noise)
    set_all(model.generator)
    set_all(model.discriminator)
    model.compile()
    history = model.fit(real, noise, batch_size=8, epochs=5, shuffle=False, verbose=0).history
    return {
        "dLoss": history["dLoss"],
        "gLoss": history["gLoss"],
        "generator": [numbers(v) for v in model.generator.trainable_variables],
        "discriminator": [numbers(v) for v in model.discriminator.trainable_variables],
    }


def shared_layer():
    """One dense layer on two inputs: its gradient is the sum of both uses."""
    a, b = keras.Input((3,)), keras.Input((3,))
    shared = layers.Dense(4, activation="tanh")
    out = layers.Dense(1)(layers.Concatenate()([shared(a), shared(b)]))
    model = keras.Model([a, b], out)
    set_all(model)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mean_squared_error")
    data = [wave((8, 3), 0), wave((8, 3), 2)]
    history = model.fit(data, wave((8, 1), 4), batch_size=4, epochs=4, shuffle=False, verbose=0)
    return {"loss": history.history["loss"], "weights": [numbers(v) for v in model.trainable_variables]}


def bits(array):
    """float32 to the last bit, as whole numbers."""
    return [int(x) for x in np.ascontiguousarray(array, "float32").view("uint32").ravel()]


def int8():
    """What quantize("int8") makes of weights, and what the layers compute with them."""
    dense = keras.Sequential([keras.Input((37,)), layers.Dense(19, activation="relu"), layers.Dense(5)])
    embedding = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 21)])
    einsum = keras.Sequential([keras.Input((3, 10)), layers.EinsumDense("abc,cde->abde", (None, 2, 7), bias_axes="de")])
    ids = np.arange(12, dtype="int32").reshape(3, 4) % 9
    result = {}
    for name, model, x in (
        ("dense", dense, wave((6, 37), 0) * np.float32(3)),
        ("einsum", einsum, wave((4, 3, 10), 0) * np.float32(3)),
        ("embedding", embedding, ids),
    ):
        set_all(model)
        model.quantize("int8")
        result[name] = {
            "weights": [
                [int(x) for x in keras.ops.convert_to_numpy(v).ravel()] if v.dtype == "int8" else bits(keras.ops.convert_to_numpy(v))
                for layer in model.layers
                for v in layer.weights
            ],
            "outputs": bits(keras.ops.convert_to_numpy(model(x))),
        }
    return result


if __name__ == "__main__":
    result = {
        "made": {"by": "scripts/keras-reference.py", "keras": keras.__version__, "backend": keras.backend.backend()},
        "batchNormTwice": batch_norm_twice(),
        "dropoutTwice": dropout_twice(),
        "gan": gan_step(),
        "sharedLayer": shared_layer(),
        "int8": int8(),
    }

    def short(value):
        if isinstance(value, float):
            return float(f"{value:.8g}")
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        return [short(item) for item in value] if isinstance(value, list) else value

    print(json.dumps(short(result), indent=1))

"""Plain JAX's side of the benchmark: jitted steps with Adam written by hand and donated buffers (see protocol.py)."""
import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if int(sys.argv[1]) == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from protocol import glorot, integers, serve, uniform

each = jax.tree_util.tree_map


def variants(workload, unit):
    if workload in ("W3", "W4", "W13", "W14", "W17") or (workload, unit) == ("W5", "inf"):
        return ["jit"]
    return ["jit"] if workload == "W16" and unit.startswith("adam") else []


def adam(parameters, gradients, state):
    """Keras's form: epsilon before the bias correction"""
    first, second, step = state
    step += 1
    first = each(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
    second = each(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    return each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), parameters, first, second), (first, second, step)


def fresh(parameters):
    parameters = each(jnp.array, parameters)
    return [parameters, (each(jnp.zeros_like, parameters), each(jnp.zeros_like, parameters), jnp.zeros(()))]


def training(parameters, loss, *batch):
    batch = [jnp.asarray(part) for part in batch]

    def step(parameters, state):
        value, gradients = jax.value_and_grad(loss)(parameters, *batch)
        return value, *adam(parameters, gradients, state)

    compiled = jax.jit(step, donate_argnums=(0, 1))
    now = fresh(parameters)

    def run():
        value, *now[:] = compiled(*now)
        return value.block_until_ready()

    for _ in range(10):
        run()
    return float(run()), run


def call(function, *inputs):
    compiled, inputs = jax.jit(function), each(jnp.asarray, inputs)
    return None, lambda: jax.block_until_ready(compiled(*inputs))


def mlp_weights(sizes):
    return [(glorot(1000 + i, a, b), np.zeros(b, np.float32)) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]


def mlp(parameters, x):
    for kernel, bias in parameters[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    return x @ parameters[-1][0] + parameters[-1][1]


def classes(logits, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1))


def binary(logits, y):
    return jnp.mean(jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits))))


def convnet(parameters, x):
    for kernel, bias in parameters[:2]:
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = lax.reduce_window(jax.nn.relu(x + bias), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return x.reshape(x.shape[0], -1) @ parameters[2][0] + parameters[2][1]


def norm(x, gamma, beta=0.0, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon) * gamma + beta


def gpt_weights(layers, width, context):
    table = lambda seed, rows: uniform(seed, rows, width) * np.float32(0.02)
    ones, kernels = np.ones(width, np.float32), ((width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
    blocks = [[ones, ones, *(glorot(1000 + 10 * i + j, *s) for j, s in enumerate(kernels))] for i in range(layers)]
    return dict(tokens=table(900, 65), positions=table(901, context), blocks=blocks, norm=ones)


def narrow(x, block):
    return x + jax.nn.gelu(norm(x, block[1]) @ block[4], approximate=False) @ block[5]


def gpt(parameters, ids, heads):
    batch, length = ids.shape
    x = parameters["tokens"][ids] + parameters["positions"][:length]
    width, seen = x.shape[-1], np.tril(np.ones((length, length), bool))
    for block in parameters["blocks"]:
        parts = jnp.split(norm(x, block[0]) @ block[2], 3, -1)
        q, k, v = (part.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3) for part in parts)
        scores = jnp.where(seen, q @ k.transpose(0, 1, 3, 2) / (width // heads) ** 0.5, -1e9)
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
        x = narrow(x + mixed @ block[3], block)
    return norm(x, parameters["norm"]) @ parameters["tokens"].T


def next_token(parameters, token, position, keys, values, heads=6):
    x = parameters["tokens"][token] + parameters["positions"][position]
    seen = jnp.arange(keys.shape[2]) <= position
    for i, block in enumerate(parameters["blocks"]):
        q, k, v = (part.reshape(heads, -1) for part in jnp.split(norm(x, block[0]) @ block[2], 3, -1))
        keys, values = keys.at[i, :, position].set(k), values.at[i, :, position].set(v)
        scores = jnp.where(seen, jnp.einsum("hd,htd->ht", q, keys[i]) / q.shape[-1] ** 0.5, -1e9)
        x = narrow(x + jnp.einsum("ht,htd->hd", jax.nn.softmax(scores), values[i]).reshape(-1) @ block[3], block)
    return jnp.argmax(norm(x, parameters["norm"]) @ parameters["tokens"].T), keys, values


def decoding():
    parameters, step = each(jnp.asarray, gpt_weights(6, 384, 256)), jax.jit(next_token, donate_argnums=(3, 4))

    def generate():
        token, keys, values = jnp.int32(0), jnp.zeros((6, 6, 256, 64)), jnp.zeros((6, 6, 256, 64))
        for position in range(200):
            token, keys, values = step(parameters, token, position, keys, values)
            int(token)

    return None, generate, 200


def rows_or_elements(unit):
    name, passes = unit.split("-")
    x, dy = uniform(1, 8192, 1024) * np.float32(4), uniform(2, 8192, 1024)
    gamma, beta = np.ones(1024, np.float32), np.zeros(1024, np.float32)
    apply = {
        "softmax": lambda x, gamma, beta: jax.nn.softmax(x),
        "layernorm": lambda x, gamma, beta: norm(x, gamma, beta, 1e-3),
        "gelu": lambda x, gamma, beta: jax.nn.gelu(x, approximate=False),
        "exp": lambda x, gamma, beta: jnp.exp(x),
    }[name]
    if passes == "fwd":
        return call(apply, x, gamma, beta)

    def both(x, gamma, beta, dy):
        y, back = jax.vjp(apply, x, gamma, beta)
        return y, back(dy)

    return call(both, x, gamma, beta, dy)


def update(unit):
    size = int(unit[4:-1]) * 20_000
    now = fresh([uniform(i, size) for i in range(50)])
    gradients = [jnp.asarray(uniform(100 + i, size)) for i in range(50)]
    step = jax.jit(adam, donate_argnums=(0, 2))

    def run():
        now[:] = step(now[0], gradients, now[1])
        jax.block_until_ready(now)

    return None, run


def prepare(workload, unit, variant):
    if workload == "W3":
        rows = int(unit[2:])
        y = integers(2, 2, rows, 1).astype("float32")
        return training(mlp_weights([32, 128, 64, 1]), lambda p, x, y: binary(mlp(p, x), y), uniform(1, rows, 32), y)
    if workload == "W4":
        loss = lambda p, x, y: classes(mlp(p, x), y)
        return training(mlp_weights([784, 512, 256, 10]), loss, uniform(1, 128, 784), integers(2, 10, 128))
    if workload == "W5":
        bias = lambda n: np.zeros(n, np.float32)
        filters = [(glorot(1000, 3, 3, 1, 32), bias(32)), (glorot(1001, 3, 3, 32, 64), bias(64))]
        return call(convnet, [*filters, (glorot(1002, 1600, 10), bias(10))], uniform(1, 128, 28, 28, 1))
    if workload == "W14":
        x = uniform(1, 256, 784) * np.float32(0.5) + np.float32(0.5)
        loss = lambda p, x: jnp.mean(jnp.square(jax.nn.sigmoid(mlp(p, x)) - x))
        return training(mlp_weights([784, 256, 64, 256, 784]), loss, x)
    if workload == "W16":
        return update(unit)
    if workload == "W17":
        return rows_or_elements(unit)
    if unit == "decode":
        return decoding()
    loss = lambda p, ids: classes(gpt(p, ids[:, :-1], 4), ids[:, 1:])
    return training(gpt_weights(4, 128, 64), loss, integers(1, 65, 12, 65))


serve(variants, prepare)

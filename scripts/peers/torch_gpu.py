"""The workloads of `bench --device`, on that device: products, what moves memory, and training of the other files' networks."""
import gc
import math

import torch
from torch import nn
import torch.nn.functional as F

import torch_images
import torch_sequences
import torch_vectors
from protocol import block, uniform
from torch_sequences import Recurrent
from torch_training import ADAM, captured, classes, labels, tensor, training

TRAINING = {"W3": torch_vectors, "W8": torch_images, "W11": torch_sequences, "W12": torch_sequences}
SMALL = {"mlp": ("W4", torch_vectors), "cnn": ("W5", torch_images)}


chosen = torch.device("cpu")


def start(device):
    global chosen
    chosen = torch.device(device)
    if on_gpu():
        torch.cuda.set_device(chosen)
    # What Chainrule does by default, too.
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def on_device(make):
    """What is made without a device is on the chosen one. Timed calls run without that: it costs each of them."""

    def made(*arguments):
        with chosen:
            return make(*arguments)

    return made


def on_gpu():
    return chosen.type == "cuda"


def synchronize():
    if on_gpu():
        torch.cuda.synchronize()


def variants(workload, unit):
    gc.collect()
    torch._dynamo.reset()
    if on_gpu():
        torch.cuda.empty_cache()
    graph = ["graph"] if on_gpu() else []
    if workload == "G1":
        return ["eager"] + graph
    if workload == "G6":
        return ["eager", "eager fused"] if unit.startswith("adam") else ["eager", "compile"]
    if workload == "G7":  # what surrounds cuDNN's layer is compiled, the layer is left as it is
        return ["eager", "eager fused", "compile"] + graph
    if workload == "G2" or (workload in TRAINING and unit.startswith("tr")):
        return ["eager", "eager fused", "compile", "reduce-overhead"] + graph
    return []


@on_device
def prepare(workload, unit, variant):
    words = variant.split()
    if workload == "G1":
        return None, *products(unit, words)
    if workload == "G6":
        return None, *memory(unit, words)
    if workload == "G7":
        batch = (tensor(uniform(1, *LSTM[:3])), labels(2, LSTM[0]))
        return training(lambda _: Recurrent(nn.LSTM, *LSTM[2:]), classes, batch, words)
    if workload == "G2":
        name, factors = unit.split("-")
        like, family = SMALL[name]
        layout = ["channels_last"] if name == "cnn" else []
        return family.prepare(like, "tr", words + layout + [factors])
    layout = ["channels_last"] if workload == "W8" else []
    return TRAINING[workload].prepare(workload, unit, words + layout)


LSTM = (256, 100, 128, 128)  # rows, length, width, units


def drawn(count, *shape, dtype=torch.float32):
    return [(torch.rand(*shape) * 2 - 1).to(dtype) for _ in range(count)]


def products(unit, words):
    """As gpu_products.ts: several products a call, with their own first factor and result."""
    factors, form, sizes = unit.split("-")
    m, n, k = map(int, sizes.split("x"))
    count = max(2, min(256, math.ceil(1e13 / (2 * m * n * k))))
    dtype = torch.bfloat16 if factors == "bf16" else torch.float32
    lefts = drawn(count, *((k, m) if form == "tn" else (m, k)), dtype=dtype)
    (right,) = drawn(1, *((n, k) if form == "nt" else (k, n)), dtype=dtype)
    results = [torch.empty(m, n, dtype=dtype) for _ in range(count)]
    lefts = [left.T for left in lefts] if form == "tn" else lefts
    right = right.T if form == "nt" else right

    def run():
        right.neg_()
        for left, result in zip(lefts, results):
            torch.mm(left, right, out=result)

    return captured(run) if "graph" in words else run, count


def memory(unit, words):
    """As gpu_rows.ts."""
    name, sizes = unit.split("-")
    if name == "adam":
        size = int(sizes[:-1]) * 1_000_000 // 50
        parameters = [nn.Parameter(weight) for weight in drawn(50, size)]
        for parameter, grad in zip(parameters, drawn(50, size)):
            parameter.grad = grad
        return torch.optim.Adam(parameters, fused="fused" in words or None, **ADAM).step, 1
    rows, width = map(int, sizes.split("x"))
    inputs = drawn(4, rows, width)
    gamma, beta = torch.ones(width), torch.zeros(width)
    apply = {
        "layernorm": lambda x: F.layer_norm(x, (width,), gamma, beta, 1e-3),
        "softmax": lambda x: torch.softmax(x, -1),
        "dropout": lambda x: F.dropout(x, 0.5),
        "gelu": F.gelu,
    }[name]
    if "compile" in words:
        apply = torch.compile(apply)

    def run():
        with torch.no_grad():
            return [apply(x) for x in inputs]

    return run, 4


@on_device
def floor(size):
    """GFLOP/s of products of size squared with factors in tf32 and bfloat16, GB/s read and written by copies."""

    def rate(work, run):
        run()
        synchronize()
        return work / 1e9 / block(run, 0.1, synchronize)

    found = {}
    for name, dtype in (("gflops", torch.float32), ("bf16Gflops", torch.bfloat16)):
        (a,), (b,) = drawn(1, size, size, dtype=dtype), drawn(1, size, size, dtype=dtype)
        out = torch.empty(size, size, dtype=dtype)
        found[name] = rate(2 * size**3, lambda: torch.mm(a, b, out=out))
    source, target = drawn(2, 4 * size, size)
    found["streamGBs"] = found["cacheGBs"] = rate(2 * 4 * source.numel(), lambda: target.copy_(source))
    return found

"""Weights by formula, and the steps that PyTorch's workloads share."""
import torch
from torch import nn
import torch.nn.functional as F

from protocol import glorot, integers, uniform

ADAM = dict(lr=0.001, betas=(0.9, 0.999), eps=1e-7)


def tensor(array):
    return torch.from_numpy(array).to(torch.get_default_device())


def fill(parameter, array):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(array.copy()))


def linear(inputs, outputs, seed, bias=True):
    layer = nn.Linear(inputs, outputs, bias=bias)
    fill(layer.weight, glorot(seed, inputs, outputs).T)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def mlp(sizes, *last):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [linear(sizes[i], sizes[i + 1], 1000 + i), nn.ReLU()]
    return nn.Sequential(*layers[:-1], *last)


def binary(model, x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def classes(model, x, y):
    return F.cross_entropy(model(x), y)


def labels(count, rows):
    return tensor(integers(2, count, rows))


def training(make, loss, batch, words):
    """(loss after ten steps without dropout, function of one step)

    words: "fused" optimizer, "compile" or "reduce-overhead" (modes of torch.compile), "graph" (a step is captured in a CUDA
    graph), "bf16" (automatic mixed precision)
    """
    compiled = "compile" in words or "reduce-overhead" in words
    fused = compiled or "graph" in words or "fused" in words
    device = torch.get_default_device().type

    def stepper(model):
        optimizer = torch.optim.Adam(model.parameters(), fused=fused or None, capturable="graph" in words, **ADAM)
        forward = lambda *batch: loss(model, *batch)
        if compiled:
            forward = torch.compile(forward, mode="reduce-overhead" if "reduce-overhead" in words else None)

        def step():
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled="bf16" in words):
                value = forward(*batch)
            value.backward()
            optimizer.step()
            return value

        return optimizer, step

    optimizer, step = stepper(make(False))
    for count in range(1, 11):
        # Keras adds epsilon before the bias correction of the second moment, PyTorch behind it.
        optimizer.param_groups[0]["eps"] = ADAM["eps"] / (1 - ADAM["betas"][1] ** count) ** 0.5
        step()
    after = step().item()  # the loss before the eleventh update
    step = stepper(make(True))[1]
    return after, captured(step) if "graph" in words else step


def captured(step):
    """the step as a CUDA graph"""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(held=step):  # what the graph reads and writes must live as long as it does
        graph.replay()

    return replay


def inference(model, x):
    model.eval()

    def run():
        with torch.inference_mode():
            return model(x)

    run()
    return None, run

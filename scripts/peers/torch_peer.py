"""PyTorch's side of the benchmark, a process that answers lines of JSON (see lib/bench/peers.ts).

Same weights, batches and steps as Chainrule's workloads; the data are hashes of the element's index.
"""
import json
import os
import sys
import time

THREADS = int(sys.argv[1])
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(THREADS)
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.set_num_threads(THREADS)


def hashes(seed, count):
    h = (np.arange(count, dtype=np.uint64) + (seed * 0x9E3779B9 & 0xFFFFFFFF)).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def uniform(seed, *shape):
    values = hashes(seed, int(np.prod(shape))).astype(np.float64) / 2147483648 - 1
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def integers(seed, classes, *shape):
    return torch.from_numpy((hashes(seed, int(np.prod(shape))) % np.uint32(classes)).astype(np.int64).reshape(shape))


def glorot(seed, *shape):
    receptive = int(np.prod(shape[:-2]))
    return uniform(seed, *shape) * np.float32((6 / (receptive * (shape[-2] + shape[-1]))) ** 0.5)


def linear(inputs, outputs, seed):
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(glorot(seed, inputs, outputs).T)
        layer.bias.zero_()
    return layer


def mlp(sizes):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [linear(sizes[i], sizes[i + 1], 1000 + i), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Convnet(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        with torch.no_grad():
            self.conv1.weight.copy_(glorot(1000, 3, 3, 1, 32).permute(3, 2, 0, 1))
            self.conv2.weight.copy_(glorot(1001, 3, 3, 32, 64).permute(3, 2, 0, 1))
            self.conv1.bias.zero_()
            self.conv2.bias.zero_()
        self.dense = linear(1600, 10, 1002)
        self.dropout = dropout

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)  # Keras flattens channels last
        if self.dropout:
            x = F.dropout(x, 0.5, self.training)
        return self.dense(x)


def binary(model, x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def classes(model, x, y):
    return F.cross_entropy(model(x), y)


ADAM = dict(lr=0.001, betas=(0.9, 0.999), eps=1e-7)


def training(make, loss, batch, fused):
    """(loss after ten steps without dropout, function of one step)"""

    def stepper(model):
        optimizer = torch.optim.Adam(model.parameters(), fused=fused or None, **ADAM)

        def step():
            optimizer.zero_grad()
            value = loss(model, *batch)
            value.backward()
            optimizer.step()

        return step

    plain = make(False)
    step = stepper(plain)
    for _ in range(10):
        step()
    with torch.no_grad():
        after = loss(plain, *batch).item()
    return after, stepper(make(True))


def prepare(workload, unit, variant):
    fused = "fused" in variant
    if workload == "W1":
        n = int(unit[2:])
        a, b, out = uniform(1, n, n), uniform(2, n, n), torch.empty(n, n)
        if unit.startswith("nt"):
            b = b.T
        if unit.startswith("tn"):
            a = a.T
        return None, lambda: torch.mm(a, b, out=out)
    if workload == "W3":
        rows = int(unit[2:])
        batch = (uniform(1, rows, 32), integers(2, 2, rows, 1).float())
        return training(lambda _: mlp([32, 128, 64, 1]), binary, batch, fused)
    if workload == "W4":
        return training(lambda _: mlp([784, 512, 256, 10]), classes, (uniform(1, 128, 784), integers(2, 10, 128)), fused)
    if workload == "W5":
        x = uniform(1, 128, 28, 28, 1).permute(0, 3, 1, 2).contiguous()
        last = "channels_last" in variant
        if last:
            x = x.to(memory_format=torch.channels_last)

        def make(dropout):
            model = Convnet(dropout)
            return model.to(memory_format=torch.channels_last) if last else model

        if unit == "tr":
            return training(make, classes, (x, integers(2, 10, 128)), fused)
        model = make(False).eval()

        def infer():
            with torch.inference_mode():
                model(x)

        return None, infer
    if workload == "W15":
        model = mlp([8, 16, 16, 3]).eval()
        row = np.zeros((1, 8), dtype=np.float32)

        def predict():
            with torch.inference_mode():
                model(torch.from_numpy(row)).numpy()

        return None, predict
    if workload == "W20":
        return None, epoch_of(variant, fused)
    raise ValueError("no such workload here: " + workload)


def epoch_of(variant, fused):
    """One epoch of the loop that PyTorch users write, with running loss and accuracy."""
    rows, size = 10000, 32
    x, y = uniform(1, rows, 20), integers(2, 2, rows, 1).float()
    model, criterion = mlp([20, 64, 1]), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), fused=fused or None, **ADAM)

    def loader():
        dataset = torch.utils.data.TensorDataset(x, y)
        yield from torch.utils.data.DataLoader(dataset, batch_size=size, shuffle=True)

    def slices():
        order = torch.randperm(rows)
        xs, ys = x[order], y[order]
        for i in range(0, rows, size):
            yield xs[i : i + size], ys[i : i + size]

    batches = loader if "dataloader" in variant else slices

    def epoch():
        total, right = 0.0, 0
        for xb, yb in batches():
            optimizer.zero_grad()
            out = model(xb)
            value = criterion(out, yb)
            value.backward()
            optimizer.step()
            total += value.item() * len(xb)
            right += ((out > 0).float() == yb).sum().item()
        return total / rows, right / rows

    return epoch


def variants(workload, unit):
    if workload in ("W3", "W4"):
        return ["eager", "eager fused"]
    if workload == "W5":
        return ["eager", "eager channels_last"]
    if workload == "W20":
        return ["slices", "slices fused", "dataloader"]
    return ["eager"] if workload in ("W1", "W15") else []


def block(run, seconds):
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return elapsed / count


def main():
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = (request["workload"], request["unit"], request.get("variant"))
        try:
            if request["do"] == "variants":
                answer = {"variants": variants(*key[:2])}
            elif request["do"] == "prepare":
                loss, prepared[key] = prepare(*key)
                answer = {"loss": loss}
            else:
                answer = {"seconds": block(prepared[key], request["seconds"])}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


main()

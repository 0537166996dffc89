"""Products, dense networks, whole epochs, the optimizer alone, rows and elements."""
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from protocol import integers, uniform
from torch_training import ADAM, binary, classes, fill, inference, labels, linear, mlp, tensor, training

OPTIMIZERS = {
    "adam": lambda parameters, fused: torch.optim.Adam(parameters, fused=fused, **ADAM),
    "sgdm": lambda parameters, fused: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=fused),
}


def variants(workload, unit):
    if workload in ("W3", "W4", "W14", "W16"):
        return ["eager", "eager fused"]
    if workload in ("W20", "W21"):
        return ["slices", "slices fused", "dataloader"]
    if workload == "W18":
        return ["eager"] if unit.startswith("int8-m") else []
    return ["eager"] if workload in ("W1", "W2", "W15", "W17") else []


def prepare(workload, unit, words):
    if workload == "W1":
        n = int(unit[2:])
        a, b, out = tensor(uniform(1, n, n)), tensor(uniform(2, n, n)), torch.empty(n, n)
        if unit.startswith("nt"):
            b = b.T
        if unit.startswith("tn"):
            a = a.T
        return None, lambda: torch.mm(a, b, out=out)
    if workload == "W2":
        return inference(linear(1024, 1024, 1000), tensor(uniform(1, int(unit[1:]), 1024)))
    if workload == "W3":
        rows = int(unit[2:])
        batch = (tensor(uniform(1, rows, 32)), tensor(integers(2, 2, rows, 1)).float())
        return training(lambda _: mlp([32, 128, 64, 1]), binary, batch, words)
    if workload == "W4":
        batch = (tensor(uniform(1, 128, 784)), labels(10, 128))
        return training(lambda _: mlp([784, 512, 256, 10]), classes, batch, words)
    if workload == "W14":
        x = tensor(uniform(1, 256, 784) * np.float32(0.5) + np.float32(0.5))
        network = lambda _: mlp([784, 256, 64, 256, 784], nn.Sigmoid())
        return training(network, lambda model, x: F.mse_loss(model(x), x), (x,), words)
    if workload == "W15":
        model, row = mlp([8, 16, 16, 3], nn.Softmax(-1)), np.zeros((1, 8), dtype=np.float32)

        def predict():
            with torch.inference_mode():
                return model(torch.from_numpy(row)).numpy()

        return None, predict
    if workload == "W16":
        return None, update(unit, "fused" in words)
    if workload == "W17":
        return None, rows_or_elements(unit)
    if workload == "W18":
        from torch.ao.quantization import quantize_dynamic

        model = quantize_dynamic(nn.Sequential(linear(1024, 1024, 1000)), {nn.Linear}, dtype=torch.qint8)
        return inference(model, tensor(uniform(1, int(unit[6:]), 1024)))
    return None, epoch_of(workload, words)


def update(unit, fused):
    size = int(unit[4:-1]) * 1_000_000 // 50
    parameters = [nn.Parameter(tensor(uniform(i, size))) for i in range(50)]
    for i, parameter in enumerate(parameters):
        parameter.grad = tensor(uniform(100 + i, size))
    return OPTIMIZERS[unit[:4]](parameters, fused or None).step


def rows_or_elements(unit):
    function, passes = unit.split("-")
    x, dy = tensor(uniform(1, 8192, 1024) * np.float32(4)), tensor(uniform(2, 8192, 1024))
    gamma, beta = torch.ones(1024), torch.zeros(1024)
    apply = {
        "softmax": lambda x: torch.softmax(x, -1),
        "layernorm": lambda x: F.layer_norm(x, (1024,), gamma, beta, 1e-3),
        "gelu": F.gelu,
        "exp": torch.exp,
    }[function]

    def forward():
        with torch.inference_mode():
            return apply(x)

    if passes == "fwd":
        return forward
    for leaf in (x, gamma, beta):
        leaf.requires_grad_()

    def both():
        x.grad = gamma.grad = beta.grad = None
        apply(x).backward(dy)

    return both


def epoch_of(workload, words):
    """One epoch of the loop that PyTorch users write, with running loss and accuracy."""
    quickstart = workload == "W20"
    rows, size = (10_000, 32) if quickstart else (60_000, 128)
    x = tensor(uniform(1, rows, 20 if quickstart else 784))
    y = tensor(integers(2, 2, rows, 1)).float() if quickstart else labels(10, rows)
    model = mlp([20, 64, 1] if quickstart else [784, 512, 256, 10])
    criterion = nn.BCEWithLogitsLoss() if quickstart else nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), fused="fused" in words or None, **ADAM)

    def loader():
        dataset = torch.utils.data.TensorDataset(x, y)
        yield from torch.utils.data.DataLoader(dataset, batch_size=size, shuffle=True)

    def slices():
        order = torch.randperm(rows)
        xs, ys = x[order], y[order]
        for i in range(0, rows, size):
            yield xs[i : i + size], ys[i : i + size]

    def epoch():
        total, right = 0.0, 0
        for xb, yb in loader() if "dataloader" in words else slices():
            optimizer.zero_grad()
            out = model(xb)
            value = criterion(out, yb)
            value.backward()
            optimizer.step()
            total += value.item() * len(xb)
            right += (((out > 0).float() if quickstart else out.argmax(1)) == yb).sum().item()
        return total / rows, right / rows

    return epoch

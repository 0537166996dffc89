"""Convolutional networks; "channels_last" keeps images as Chainrule does."""
import torch
from torch import nn
import torch.nn.functional as F

from protocol import glorot, uniform
from torch_training import classes, fill, inference, labels, linear, tensor, training


def variants(workload, unit):
    if workload in ("W6", "W7", "W8") or (workload, unit) == ("W5", "inf"):
        return ["eager", "channels_last"]
    return ["eager", "channels_last", "channels_last fused"] if workload == "W5" else []


def conv(inputs, outputs, size, seed, padding=0, groups=1, bias=True):
    layer = nn.Conv2d(inputs, outputs, size, padding=padding, groups=groups, bias=bias)
    if groups == 1:
        fill(layer.weight, glorot(seed, size, size, inputs, outputs).transpose(3, 2, 0, 1))
    else:  # depthwise: (height, width, channels, 1)
        fill(layer.weight, glorot(seed, size, size, inputs, 1).transpose(2, 3, 0, 1))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Convnet(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.conv1, self.conv2 = conv(1, 32, 3, 1000), conv(32, 64, 3, 1001)
        self.dense = linear(1600, 10, 1002)
        self.dropout = dropout

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)  # Keras flattens channels last
        return self.dense(F.dropout(x, 0.5, self.training) if self.dropout else x)


class Basic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = (conv(64, 64, 3, 1000 + i, padding=1, bias=False) for i in range(2))
        self.norm1, self.norm2 = norm(64), norm(64)

    def forward(self, x):
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + x)


class Inverted(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand, self.norm1 = conv(24, 144, 1, 1000, bias=False), norm(144)
        self.depthwise, self.norm2 = conv(144, 144, 3, 1001, padding=1, groups=144, bias=False), norm(144)
        self.project, self.norm3 = conv(144, 24, 1, 1002, bias=False), norm(24)

    def forward(self, x):
        h = F.relu6(self.norm1(self.expand(x)))
        h = F.relu6(self.norm2(self.depthwise(h)))
        return self.norm3(self.project(h)) + x


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        step = lambda a, b, k, s=1: nn.Sequential(nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b))
        self.a, self.b, self.c = step(inputs, width, 1), step(width, width, 3, stride), step(width, 4 * width, 1)
        same = stride == 1 and inputs == 4 * width
        self.short = nn.Identity() if same else step(inputs, 4 * width, 1, stride)

    def forward(self, x):
        return F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))) + self.short(x))


def resnet50():
    layers, inputs = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(count):
            layers.append(Bottleneck(inputs, width, stride if i == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


SHAPES = {"W5": (128, 28, 28, 1), "W6": (32, 32, 32, 64), "W8": (16, 56, 56, 24)}


def images(workload, unit):
    shape = (int(unit[3:]), 224, 224, 3) if workload == "W7" else SHAPES[workload]
    return tensor(uniform(1, *shape)).permute(0, 3, 1, 2).contiguous()


def network(workload, dropout=False):
    return {"W5": lambda: Convnet(dropout), "W6": Basic, "W7": resnet50, "W8": Inverted}[workload]()


def squares(model, x):
    x.grad = None
    return model(x).square().mean()


def prepare(workload, unit, words):
    layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
    x = images(workload, unit).to(memory_format=layout)
    make = lambda dropout=False: network(workload, dropout).to(memory_format=layout)
    if unit != "tr":
        return inference(make(), x)
    if workload == "W5":
        return training(make, classes, (x, labels(10, 128)), words)
    return training(make, squares, (x.requires_grad_(),), words)

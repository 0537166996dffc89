"""Recurrent networks, text and Transformers."""
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from protocol import glorot, integers, uniform
from torch_training import binary, classes, fill, inference, labels, linear, tensor, training


def variants(workload, unit):
    if unit == "tr":
        names = {"W9": "eager", "W10": "eager", "W11": "eager,bag", "W12": "eager", "W13": "eager"}.get(workload, "")
        return [name + fused for name in names.split(",") if name for fused in ("", " fused")]
    return ["eager"] if (workload, unit) in (("W12", "inf"), ("W13", "decode")) else []


class Recurrent(nn.Module):
    def __init__(self, kind, inputs, units):
        super().__init__()
        gates = 4 if kind is nn.LSTM else 3
        self.layer = kind(inputs, units, batch_first=True)
        self.dense = linear(units, 2, 1002)
        kernel, recurrent = glorot(1000, inputs, gates * units), glorot(1001, units, gates * units)
        if kind is nn.GRU:  # Keras's order is z, r, h; PyTorch's is r, z, n
            order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
            kernel, recurrent = kernel[:, order], recurrent[:, order]
        fill(self.layer.weight_ih_l0, kernel.T)
        fill(self.layer.weight_hh_l0, recurrent.T)
        nn.init.zeros_(self.layer.bias_ih_l0)
        nn.init.zeros_(self.layer.bias_hh_l0)
        if kind is nn.LSTM:  # Keras has one bias, that of the forget gate starts at one
            with torch.no_grad():
                self.layer.bias_ih_l0[units : 2 * units] = 1
            self.layer.bias_hh_l0.requires_grad_(False)

    def forward(self, x):
        return self.dense(self.layer(x)[0][:, -1])


class Sentiment(nn.Module):
    def __init__(self, bag):
        super().__init__()
        self.bag = bag
        self.table = nn.EmbeddingBag(20_000, 16, mode="mean") if bag else nn.Embedding(20_000, 16)
        fill(self.table.weight, uniform(1000, 20_000, 16) * np.float32(0.05))
        self.dense, self.last = linear(16, 16, 1001), linear(16, 1, 1002)

    def forward(self, x):
        mean = self.table(x) if self.bag else self.table(x).mean(1)
        return self.last(F.relu(self.dense(mean)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        options = dict(dropout=0.0, batch_first=True, layer_norm_eps=1e-5)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(256, 4, 1024, **options) for _ in range(2))
        for i, layer in enumerate(self.layers):
            seed, attention = 1000 + 10 * i, layer.self_attn
            fill(attention.in_proj_weight, np.concatenate([glorot(seed + j, 256, 256).T for j in range(3)]))
            for j, part in enumerate((attention.out_proj, layer.linear1, layer.linear2), 3):
                fill(part.weight, glorot(seed + j, part.in_features, part.out_features).T)
                nn.init.zeros_(part.bias)
            nn.init.zeros_(attention.in_proj_bias)
        self.dense = linear(256, 10, 1100)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.dense(x.mean(1))


class Block(nn.Module):
    def __init__(self, width, heads, seed):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.qkv, self.project = linear(width, 3 * width, seed, False), linear(width, width, seed + 1, False)
        self.wide, self.narrow = linear(width, 4 * width, seed + 2, False), linear(4 * width, width, seed + 3, False)

    def forward(self, x, cache=None, position=0):
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        if cache is not None:
            cache[0][:, :, position : position + 1] = k
            cache[1][:, :, position : position + 1] = v
            k, v = (part[:, :, : position + 1] for part in cache)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
        x = x + self.project(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, layers, width, heads, context):
        super().__init__()
        self.tokens = nn.Parameter(tensor(uniform(900, 65, width) * np.float32(0.02)))
        self.positions = nn.Parameter(tensor(uniform(901, context, width) * np.float32(0.02)))
        self.blocks = nn.ModuleList(Block(width, heads, 1000 + 10 * i) for i in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(self, ids, caches=None, position=0):
        x = self.tokens[ids] + self.positions[position : position + ids.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, caches and caches[i], position)
        return self.norm(x) @ self.tokens.T


def decoding():
    """200 greedy tokens from an empty cache"""
    model = Gpt(6, 384, 6, 256)

    def generate():
        with torch.inference_mode():
            caches = [torch.zeros(2, 1, 6, 256, 64) for _ in range(6)]
            token = torch.zeros(1, 1, dtype=torch.long)
            for position in range(200):
                token = model(token, caches, position)[0, -1].argmax().view(1, 1)

    return None, generate, 200


def prepare(workload, unit, words):
    if workload == "W9":
        batch = (tensor(uniform(1, 32, 100, 128)), labels(2, 32))
        return training(lambda _: Recurrent(nn.LSTM, 128, 128), classes, batch, words)
    if workload == "W10":
        batch = (tensor(uniform(1, 64, 50, 64)), labels(2, 64))
        return training(lambda _: Recurrent(nn.GRU, 64, 256), classes, batch, words)
    if workload == "W11":
        batch = (tensor(integers(1, 20_000, 512, 256)), tensor(integers(2, 2, 512, 1)).float())
        return training(lambda _: Sentiment("bag" in words), binary, batch, words)
    if workload == "W12":
        x = tensor(uniform(1, 32, 128, 256))
        if unit == "inf":
            return inference(Encoder(), x)
        return training(lambda _: Encoder(), classes, (x, labels(10, 32)), words)
    if unit == "decode":
        return decoding()
    ids = tensor(integers(1, 65, 12, 65))
    loss = lambda model, ids: F.cross_entropy(model(ids[:, :-1]).reshape(-1, 65), ids[:, 1:].reshape(-1))
    return training(lambda _: Gpt(4, 128, 4, 64), loss, (ids,), words)

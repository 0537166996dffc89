"""PyTorch's side of the benchmark: same weights, batches and steps as Chainrule's workloads (see protocol.py).

torch_peer.py THREADS [DEVICE]: with a device ("cuda:0"; "cpu" where Chainrule's is emulated) what torch_gpu.py names, there.

Started with glibc told to keep big blocks (MALLOC_MMAP_MAX_=0), it runs only what that changes, as variants named "tuned".
"""
import os
import sys

THREADS = int(sys.argv[1])
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(THREADS)
DEVICE = sys.argv[2] if len(sys.argv) > 2 else None
if not DEVICE:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
TUNED = "MALLOC_MMAP_MAX_" in os.environ

import torch

torch.set_num_threads(THREADS)

import protocol
import torch_gpu
import torch_images
import torch_sequences
import torch_vectors

FAMILIES = (torch_vectors, torch_images, torch_sequences)
ALLOCATES = ("W5", "W6", "W8", "W12", "W17")  # fresh results of many megabytes


def variants(workload, unit):
    if TUNED and workload not in ALLOCATES:
        return []
    found = [name for family in FAMILIES for name in family.variants(workload, unit)]
    return [f"{name} tuned" for name in found] if TUNED else found


def prepare(workload, unit, variant):
    family = next(family for family in FAMILIES if family.variants(workload, unit))
    return family.prepare(workload, unit, variant.split())


if DEVICE:
    torch_gpu.start(DEVICE)
    protocol.serve(torch_gpu.variants, torch_gpu.prepare, torch_gpu.synchronize, torch_gpu.floor)
else:
    protocol.serve(variants, prepare)

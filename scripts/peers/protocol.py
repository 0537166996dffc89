"""What the peers in Python share: data by formula, and the lines of JSON that they answer (see lib/bench/peers.ts)."""
import json
import sys
import time

import numpy as np


def hashes(seed, count):
    h = (np.arange(count, dtype=np.uint64) + (seed * 0x9E3779B9 & 0xFFFFFFFF)).astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def uniform(seed, *shape):
    """float32 in [-1, 1)"""
    values = hashes(seed, int(np.prod(shape))).astype(np.float64) / 2147483648 - 1
    return values.astype(np.float32).reshape(shape)


def integers(seed, classes, *shape):
    return (hashes(seed, int(np.prod(shape))) % np.uint32(classes)).astype(np.int64).reshape(shape)


def glorot(seed, *shape):
    """a kernel in Keras's layout"""
    receptive = int(np.prod(shape[:-2]))
    return uniform(seed, *shape) * np.float32((6 / (receptive * (shape[-2] + shape[-1]))) ** 0.5)


def block(run, seconds, synchronize=None):
    count, burst, start = 0, 1, time.perf_counter()
    while True:
        for _ in range(burst):
            run()
        if synchronize:  # a device works behind the calls: it is waited for after ever longer bursts
            synchronize()
            burst *= 2
            count += burst // 2
        else:
            count += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return elapsed / count


def serve(variants, prepare, synchronize=None, floor=None):
    """variants(workload, unit) names what can run; prepare(workload, unit, variant) gives (loss after ten steps, function of
    one unit) or (loss, function, units in one call); synchronize() waits for the device; floor(size) measures its limits"""
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        workload, unit, variant = request["workload"], request["unit"], request.get("variant")
        try:
            if request["do"] == "variants":
                prepared = {}  # lets go of the unit before
                answer = {"variants": variants(workload, unit)}
            elif request["do"] == "prepare":
                loss, run, *units = prepare(workload, unit, variant)
                prepared[variant] = (run, units[0] if units else 1)
                if synchronize:
                    run()
                    synchronize()
                answer = {"loss": loss}
            elif request["do"] == "floor":
                answer = {"floor": floor(request["size"])}
            else:
                run, units = prepared[variant]
                answer = {"seconds": block(run, request["seconds"], synchronize) / units}
        except Exception as error:
            answer = {"error": f"{workload} {unit} {variant}: {error!r}"}
        print(json.dumps(answer), flush=True)

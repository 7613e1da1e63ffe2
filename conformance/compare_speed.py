"""Compares the CPU time of ONNX files or of TFLite files on the same padded input; the first file is the base. A folder is
a checkpoint, whose encoder runs in PyTorch.

usage: compare_speed.py BASE OTHER ... [--sequence-length 128] [--valid 96] [--rounds 40] [--max-id 1000]

Runs are interleaved and one thread's CPU time is counted, so that other load on the machine hits every file alike.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from report import finish, size_mb
from runtimes import load, seeded_tokens

WARM_UP_ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--valid", type=int, help="real tokens; the rest is padding (default three quarters)")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--max-id", type=int, default=1000, help="token ids stay below this")
    args = parser.parse_args()

    valid = args.valid or args.sequence_length * 3 // 4
    tokens = seeded_tokens(np.random.default_rng(0), args.sequence_length, valid, args.max_id)
    models = [load(path) for path in args.models]
    for model in models:
        model.prepare(tokens)
    times: list[list[float]] = [[] for _ in models]
    for round_index in range(WARM_UP_ROUNDS + args.rounds):
        # Each round starts at another file: what runs first after a big one finds a cold cache.
        for offset in range(len(models)):
            index = (round_index + offset) % len(models)
            start = time.process_time()
            models[index].invoke()
            if round_index >= WARM_UP_ROUNDS:
                times[index].append((time.process_time() - start) * 1000)

    base_median, base_min = statistics.median(times[0]), min(times[0])
    rows = [
        {
            "model": path.name,
            "size_mb": size_mb(path),
            "median_ms": round(statistics.median(measured), 3),
            "min_ms": round(min(measured), 3),
            "median_ratio": round(statistics.median(measured) / base_median, 3),
            "min_ratio": round(min(measured) / base_min, 3),
        }
        for path, measured in zip(args.models, times, strict=True)
    ]
    finish({"sequence_length": args.sequence_length, "valid": valid, "rounds": args.rounds, "models": rows}, [])


main()

"""Compares the outputs of model files of either format with those of the first, on valid tokens of seeded inputs.

usage: compare_outputs.py REFERENCE OTHER ... [--sequence-length 128] [--samples 4] [--min-sqnr 80] [--max-id 1000]
"""

import argparse
from pathlib import Path

import numpy as np

from report import finish
from runtimes import Model, Tokens, load, seeded_tokens


def outputs_of(model: Model, samples: list[Tokens]) -> dict[str, list[np.ndarray]]:
    """Per output name one array a sample, cut to the valid tokens where it has a sequence axis."""
    collected: dict[str, list[np.ndarray]] = {}
    for tokens in samples:
        model.prepare(tokens)
        model.invoke()
        for name, value in model.outputs().items():
            has_sequence = value.ndim > 1 and value.shape[1] == tokens.ids.shape[1]
            collected.setdefault(name, []).append(np.array(value[0, : tokens.valid] if has_sequence else value[0]))
    return collected


def compare(reference: list[np.ndarray], other: list[np.ndarray]) -> dict[str, float]:
    a = np.concatenate([value.ravel() for value in reference]).astype(np.float64)
    b = np.concatenate([value.ravel() for value in other]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal outputs: +infinity; infinite ones: NaN
        sqnr = 10 * np.log10(np.square(a).sum() / np.square(a - b).sum())
    agree = [float(np.mean(x.argmax(-1) == y.argmax(-1))) for x, y in zip(reference, other, strict=True)]
    return {
        "max_difference": float(np.abs(a - b).max()),
        "sqnr_db": round(float(np.clip(sqnr, -999, 999)), 1),  # JSON has no infinity
        "argmax_agreement": round(float(np.mean(agree)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--min-sqnr", type=float, default=80.0, help="in dB; float runtimes agree above 100")
    parser.add_argument("--max-id", type=int, default=1000, help="token ids stay below this")
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    lengths = np.linspace(args.sequence_length, max(2, args.sequence_length // 8), args.samples).astype(int)
    samples = [seeded_tokens(rng, args.sequence_length, int(length), args.max_id) for length in lengths]
    reference = outputs_of(load(args.models[0]), samples)
    rows, problems = [], []
    for path in args.models[1:]:
        outputs = outputs_of(load(path), samples)
        if len(outputs) == len(reference) == 1:  # a single output may be called otherwise
            outputs = dict(zip(reference, outputs.values(), strict=True))
        if outputs.keys() != reference.keys():
            problems.append(f"{path.name}: outputs {sorted(outputs)}, expected {sorted(reference)}")
            continue
        compared = {name: compare(reference[name], outputs[name]) for name in reference}
        # A comparison with NaN is false, so this form also catches a file that answers NaN.
        problems += [
            f"{path.name}: {name} has {row['sqnr_db']} dB, expected {args.min_sqnr}"
            for name, row in compared.items()
            if not row["sqnr_db"] >= args.min_sqnr
        ]
        rows.append({"model": path.name, "outputs": compared})
    finish({"reference": args.models[0].name, "lengths": lengths.tolist(), "models": rows}, problems)


main()

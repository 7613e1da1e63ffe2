"""Compares mbert's tokenizers with the Python ones, on 2,000 lines in six scripts, alone and in pairs, cut to lengths.

A folder with a tokenizer.json is read by the package `tokenizers`, any other one by transformers. --golden N writes the first
N samples of each kind with the Python answers into the folders, for the tests.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from lines import make_lines  # noqa: E402

Row = tuple[list[int], list[int]]
Sample = tuple[str, str | None, int | None]
LENGTHS = [None, 7, 16, 33]


def samples_of(lines: list[str]) -> list[Sample]:
    """Every line alone, and pairs of neighbours, each cut to one of the lengths."""
    single = [(line, None, None) for line in lines]
    pairs = [(a, b, LENGTHS[i % len(LENGTHS)]) for i, (a, b) in enumerate(zip(lines, lines[7:])) if i % 5 == 0 and b]
    cut = [(line, None, 5) for line in lines[::20]]
    return single + pairs + cut


def python_encoder(folder: pathlib.Path) -> Callable[[Sample], Row]:
    if (folder / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()

        def encode(sample: Sample) -> Row:
            text, second, length = sample
            if length is None:
                tokenizer.no_truncation()
            else:
                tokenizer.enable_truncation(length)
            found = tokenizer.encode(text, second)
            return found.ids, found.type_ids

        return encode
    from transformers import AutoTokenizer

    slow = AutoTokenizer.from_pretrained(folder)

    def encode_slow(sample: Sample) -> Row:
        text, second, length = sample
        found = slow(text, second, truncation=length is not None, max_length=length, return_token_type_ids=True)
        return found["input_ids"], found["token_type_ids"]

    return encode_slow


def mbert_rows(folder: pathlib.Path, samples: list[Sample]) -> list[Row]:
    script = pathlib.Path(__file__).with_name("encode.mjs")
    done = subprocess.run(
        ["node", str(script), str(folder)], input=json.dumps(samples).encode(), capture_output=True, check=True
    )
    return [(ids, types) for ids, types in json.loads(done.stdout)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--golden", type=int, help="lines of each script for goldens; nothing is compared")
    args = parser.parse_args()
    problems: list[str] = []
    counts: dict[str, int] = {}
    for folder in args.folders:
        samples = samples_of(make_lines(args.golden, args.golden) if args.golden else make_lines(320, 256))
        encode = python_encoder(folder)
        expected = [encode(sample) for sample in samples]
        if args.golden:
            golden = [[*sample, *row] for sample, row in zip(samples, expected)]
            data = json.dumps(golden, separators=(",", ":")).encode()
            (folder / "golden.json.gz").write_bytes(gzip.compress(data, mtime=0))
            continue
        counts[folder.name] = len(samples)
        for sample, want, got in zip(samples, expected, mbert_rows(folder, samples)):
            if (list(got[0]), list(got[1])) != (list(want[0]), list(want[1])):
                problems.append(f"{folder.name}: {sample!r}: {got} in place of {want}")
    print(json.dumps({"ok": not problems, "samples": counts, "problems": problems[:20], "count": len(problems)}, indent=1))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compares mbert's prediction of XNNPACK's partitions with what LiteRT makes of the same files.

usage: check_probes.py FOLDER, which `MBERT_PROBES=FOLDER npx vitest run test/lint/xnnpack.test.ts` writes: for each NAME.tflite
a NAME.json with `partitions`, and with `isBroken` for a file that some runtime may refuse to load.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from report import finish

# Some broken files stop the process, so each one is loaded in its own.
COUNT_PARTITIONS = """
import sys
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
print(sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details()))
"""


def partitions(path: Path) -> int | None:
    """How many partitions LiteRT makes, None where it does not load the file."""
    run = subprocess.run([sys.executable, "-c", COUNT_PARTITIONS, str(path)], capture_output=True, text=True)
    return int(run.stdout) if run.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()

    problems, refused = [], []
    paths = sorted(args.folder.glob("*.tflite"))
    for path in paths:
        predicted = json.loads(path.with_suffix(".json").read_text())
        real = partitions(path)
        if real is None:
            refused.append(path.stem)
            if not predicted["isBroken"]:
                problems.append(f"{path.stem}: LiteRT does not load it, mbert finds nothing wrong")
        elif real != predicted["partitions"]:
            problems.append(f"{path.stem}: {real} partitions, mbert predicts {predicted['partitions']}")
        elif predicted["failures"]:
            problems.append(f"{path.stem}: LiteRT loads it, mbert predicts that it fails: {predicted['failures'][0]}")
    if not paths:
        problems.append(f"{args.folder}: has no .tflite files")
    finish({"files": len(paths), "not_loaded": refused}, problems)


main()

"""A frozen GraphDef of a SavedModel's serving_default, run once for its expected outputs: a fixture.

usage: make_frozen_graphdef.py SAVED_MODEL CASE_WITH_INPUTS OUT_FOLDER
"""

import argparse
import json
import os
import shutil
from pathlib import Path

# oneDNN replaces operators with its own while a graph is optimized.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: E402

SIDE_FILES = ["config.json"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("saved_model", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()

    # The variables live as long as the model does.
    model = tf.saved_model.load(str(args.saved_model))
    signature = model.signatures["serving_default"]
    frozen = convert_variables_to_constants_v2(signature)
    manifest = json.loads((args.case / "manifest.json").read_text())
    feeds = {name: np.load(args.case / info["file"]) for name, info in manifest["inputs"].items()}
    names = [tensor.name.split(":")[0] for tensor in frozen.inputs]
    # Structured outputs come in alphabetical order.
    outputs = dict(zip([tensor.name.split(":")[0] for tensor in frozen.outputs], sorted(signature.structured_outputs)))

    rows = []
    for row in range(len(next(iter(feeds.values())))):
        results = frozen(*[tf.constant(feeds[name][row : row + 1]) for name in names])
        rows.append([result.numpy() for result in results])

    (args.out / "expected").mkdir(parents=True)
    shutil.copytree(args.case / "inputs", args.out / "inputs")
    for name in SIDE_FILES:
        shutil.copy(args.case / name, args.out / name)
    (args.out / "frozen_graph.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString(deterministic=True))
    expected = {}
    for i, meaning in enumerate(outputs.values()):
        values = np.concatenate([row[i] for row in rows])
        np.save(args.out / "expected" / f"{meaning}.npy", values)
        expected[meaning] = {"file": f"expected/{meaning}.npy", "dtype": str(values.dtype), "shape": list(values.shape)}
    made = {
        "case": args.out.name,
        "what": f"convert_variables_to_constants_v2 of {args.case.name}",
        "family": manifest["family"],
        "head": manifest["head"],
        "format": "graphdef",
        "made_by": {"tensorflow": tf.__version__, "script": "conformance/make_frozen_graphdef.py"},
        "config": manifest["config"],
        "oracle": "the frozen function in TensorFlow, a row at a time",
        "tolerance": {meaning: manifest["tolerance"][meaning] for meaning in outputs.values()},
        "output_names": outputs,
        "inputs": manifest["inputs"],
        "expected": expected,
    }
    (args.out / "manifest.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The peer for TFLite: TFLiteConverter on transformers' TensorFlow model of a Hugging Face folder, with its cost.

usage: convert_tflite.py CHECKPOINT OUT.tflite [--sequence-length 128] [--dynamic] [--optimize]
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from report import Phases, finish, size_mb

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # transformers 4.49 cannot use Keras 3
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
phases = Phases()
import tensorflow as tf  # noqa: E402  the import is a phase of its own
import transformers  # noqa: E402

phases.done("import")

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--dynamic", action="store_true", help="the sequence stays open")
    parser.add_argument("--optimize", action="store_true", help="the converter's dynamic-range int8 instead of f32")
    args = parser.parse_args()

    architecture = json.loads((args.checkpoint / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, f"TF{architecture}").from_pretrained(args.checkpoint)
    phases.done("load")

    shape = [1, None if args.dynamic else args.sequence_length]
    signature = {name: tf.TensorSpec(shape, tf.int32, name=name) for name in INPUTS}

    @tf.function(input_signature=[signature])
    def serve(inputs):
        result = model(inputs, training=False)
        return {name: result[name] for name in result.keys()}

    # Through a SavedModel, which keeps the names of inputs and outputs. Saving this holder instead of the Keras model
    # leaves out the tracing of every layer, which costs the peer a minute that its user does not need to spend.
    holder = tf.Module()
    holder.weights = model.variables
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(holder, folder, signatures={"serving_default": serve})
        phases.done("saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if args.optimize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        data = converter.convert()
    args.out.write_bytes(data)
    phases.done("convert")
    cost = phases.summary()

    result = {
        "tool": f"tensorflow {tf.__version__}, transformers {transformers.__version__}",
        "architecture": architecture,
        "shape": shape,
        **cost,
        "size_mb": size_mb(args.out),
    }
    finish(result, [])


main()

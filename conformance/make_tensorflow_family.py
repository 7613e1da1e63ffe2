"""Tiny models of the encoder family as TensorFlow's tools write them, with what TensorFlow computes: fixtures.

usage: make_tensorflow_family.py OUT_FOLDER [CASE …]
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # transformers 4.49 cannot use Keras 3
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its operators would be in files for the browser, too
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import transformers  # noqa: E402

BATCH, SEQUENCE = 3, 32
VALID = [32, 20, 7]
COMMON = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "num_labels": 3,
}
#: A file smaller by this share is kept compressed.
WORTH_COMPRESSING = 0.9

# By case: class, config, format, what.
CASES = {
    "savedmodel-albert-seqcls": ("AlbertForSequenceClassification", {**COMMON, "embedding_size": 8}, "saved_model", "layers that share weights, embeddings mapped"),
    "tflite-electra-seqcls": ("ElectraForSequenceClassification", {**COMMON, "embedding_size": 8}, "tflite", "embeddings projected, open sizes"),
    "tfjs-roberta-seqcls": ("RobertaForSequenceClassification", {**COMMON, "type_vocab_size": 1, "pad_token_id": 1}, "tfjs", "positions that count tokens"),
}


def perturb(model: tf.keras.Model) -> None:
    """Every parameter matters: norms away from one, biases away from zero."""
    random = np.random.default_rng(7)
    for variable in model.variables:
        noise = random.standard_normal(variable.shape).astype(np.float32)
        if "gamma" in variable.name:
            variable.assign(1 + 0.1 * noise)
        elif variable.dtype == tf.float32:
            variable.assign(noise * (0.3 if len(variable.shape) == 2 else 0.1))


def inputs(padding: int, token_types: bool) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    mask = (np.arange(SEQUENCE) < np.array(VALID)[:, None]).astype(np.int32)
    ids = random.integers(3, COMMON["vocab_size"], (BATCH, SEQUENCE)).astype(np.int32)
    feeds = {"input_ids": np.where(mask == 1, ids, padding).astype(np.int32), "attention_mask": mask}
    if token_types:
        feeds["token_type_ids"] = mask * (np.arange(SEQUENCE) >= SEQUENCE // 3).astype(np.int32)
    return feeds


def save(serve: tf.types.experimental.PolymorphicFunction, model: tf.keras.Model, out: Path, kind: str) -> None:
    """Writes the model; a holder in place of the Keras model leaves out the tracing of every layer."""
    holder = tf.Module()
    holder.weights = model.variables
    folder = out / ("saved_model" if kind == "saved_model" else "temporary")
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": serve})
    if kind == "tflite":
        (out / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())
    if kind == "tfjs":
        from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model

        # Without the check: assertions on ids, which the browser has no operator for, go with the optimization behind it.
        convert_tf_saved_model(str(folder), str(out / "tfjs"), skip_op_check=True)
    shutil.rmtree(out / "temporary", ignore_errors=True)
    for extra in ("fingerprint.pb", "assets"):
        path = out / "saved_model" / extra
        if path.is_file():
            path.unlink()
        elif path.exists():
            path.rmdir()


def compress(out: Path) -> list[dict]:
    """Keeps files that shrink as .gz and lists all as the tools wrote them."""
    listed = []
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        data = path.read_bytes()
        listed.append({"file": str(path.relative_to(out)), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        packed = gzip.compress(data, 9, mtime=0)
        if len(packed) < WORTH_COMPRESSING * len(data):
            path.with_name(path.name + ".gz").write_bytes(packed)
            path.unlink()
    return listed


def write(case: str, out: Path) -> None:
    name, config, kind, what = CASES[case]
    cls = getattr(transformers, f"TF{name}")
    loaded = cls.config_class(**config)
    model = cls(loaded)
    feeds = inputs(loaded.pad_token_id or 0, loaded.type_vocab_size > 1)
    model({key: tf.constant(value) for key, value in feeds.items()})
    perturb(model)

    @tf.function(input_signature=[{key: tf.TensorSpec([None, None], tf.int32, name=key) for key in feeds}])
    def serve(given):
        return {"logits": model(given, training=False)["logits"]}

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    save(serve, model, out, kind)
    files = compress(out)
    logits = serve({key: tf.constant(value) for key, value in feeds.items()})["logits"].numpy()
    manifest = {"case": case, "family": loaded.model_type, "head": "seqcls", "format": kind, "what": what, "architecture": f"TF{name}"}
    manifest |= {"made_by": f"tensorflow {tf.__version__}, transformers {transformers.__version__}", "inputs": {}, "expected": {}}
    for folder, arrays in (("inputs", feeds), ("expected", {"logits": logits})):
        (out / folder).mkdir()
        for key, array in arrays.items():
            np.save(out / folder / f"{key}.npy", array)
            manifest[folder][key] = {"file": f"{folder}/{key}.npy", "dtype": str(array.dtype), "shape": list(array.shape)}
    manifest["tolerance"] = {"logits": {"atol": max(1e-4, 5e-5 * float(np.abs(logits).max())), "rtol": 0.0}}
    manifest["files"] = files
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    for case in args.cases or CASES:
        write(case, args.out / case)
        print(case)


if __name__ == "__main__":
    main()

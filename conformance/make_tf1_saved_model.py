"""A SavedModel as TensorFlow 1 wrote them: a session's graph with reference variables, restored by its saver. A fixture.

The graph is that of google-research's BERT classifier (one layer, one-hot look-ups, masks repeated by a product with ones,
GELU by tanh), small and with weights from a seed.

usage: make_tf1_saved_model.py OUT_FOLDER
"""

import argparse
import json
import math
import os
import zlib
from pathlib import Path

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf1 = tf.compat.v1
BATCH, LENGTH, VOCABULARY, TYPES, HIDDEN, HEADS, INNER, LABELS = 4, 12, 40, 2, 16, 2, 32, 3


def variable(name: str, shape: list[int]) -> tf.Tensor:
    seed = zlib.crc32(f"{tf1.get_variable_scope().name}/{name}".encode()) % 2**31
    init = tf1.truncated_normal_initializer(stddev=0.3, seed=seed)
    return tf1.get_variable(name, shape, initializer=init, use_resource=False)


def dense(x: tf.Tensor, size: int, name: str) -> tf.Tensor:
    with tf1.variable_scope(name):
        return tf.matmul(x, variable("kernel", [x.shape[-1], size])) + variable("bias", [size])


def layer_norm(x: tf.Tensor, name: str) -> tf.Tensor:
    with tf1.variable_scope(name):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        gamma = 1.0 + variable("gamma", [x.shape[-1]])
        return tf.nn.batch_normalization(x, mean, variance, variable("beta", [x.shape[-1]]), gamma, 1e-12)


def gelu(x: tf.Tensor) -> tf.Tensor:
    return x * (0.5 * (1.0 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * tf.pow(x, 3)))))


def heads(x: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    return tf.transpose(tf.reshape(x, [batch, LENGTH, HEADS, HIDDEN // HEADS]), [0, 2, 1, 3])


def build(ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> tf.Tensor:
    batch = tf.shape(ids)[0]
    with tf1.variable_scope("bert/embeddings"):
        flat = tf.one_hot(tf.reshape(ids, [-1]), VOCABULARY)
        words = tf.reshape(tf.matmul(flat, variable("word_embeddings", [VOCABULARY, HIDDEN])), [batch, LENGTH, HIDDEN])
        kinds = tf.matmul(tf.one_hot(tf.reshape(types, [-1]), TYPES), variable("token_type_embeddings", [TYPES, HIDDEN]))
        places = tf.slice(variable("position_embeddings", [2 * LENGTH, HIDDEN]), [0, 0], [LENGTH, -1])
        x = words + tf.reshape(kinds, [batch, LENGTH, HIDDEN]) + tf.reshape(places, [1, LENGTH, HIDDEN])
        x = layer_norm(x, "LayerNorm")
    ones = tf.ones([batch, LENGTH, 1])
    seen = ones * tf.cast(tf.reshape(mask, [batch, 1, LENGTH]), tf.float32)
    adder = (1.0 - tf.expand_dims(seen, 1)) * -10000.0
    x = tf.reshape(x, [-1, HIDDEN])
    with tf1.variable_scope("bert/encoder/layer_0"):
        query, key, value = (heads(dense(x, HIDDEN, f"attention/self/{name}"), batch) for name in ("query", "key", "value"))
        scores = tf.multiply(tf.matmul(query, key, transpose_b=True), 1.0 / math.sqrt(HIDDEN // HEADS))
        context = tf.transpose(tf.matmul(tf.nn.softmax(scores + adder), value), [0, 2, 1, 3])
        context = dense(tf.reshape(context, [batch * LENGTH, HIDDEN]), HIDDEN, "attention/output/dense")
        x = layer_norm(context + x, "attention/output/LayerNorm")
        inner = gelu(dense(x, INNER, "intermediate/dense"))
        x = layer_norm(dense(inner, HIDDEN, "output/dense") + x, "output/LayerNorm")
    first = tf.squeeze(tf.reshape(x, [batch, LENGTH, HIDDEN])[:, 0:1, :], axis=1)
    pooled = tf.tanh(dense(first, HIDDEN, "bert/pooler/dense"))
    weights = variable("output_weights", [LABELS, HIDDEN])
    return tf.nn.bias_add(tf.matmul(pooled, weights, transpose_b=True), variable("output_bias", [LABELS]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    names = ["input_ids", "input_mask", "segment_ids"]
    with tf1.Graph().as_default(), tf1.Session() as session:
        feeds = {name: tf1.placeholder(tf.int32, [None, LENGTH], name) for name in names}
        logits = build(*feeds.values())
        session.run(tf1.global_variables_initializer())
        random = np.random.default_rng(7)
        lengths = random.integers(4, LENGTH + 1, BATCH)
        given = {
            "input_ids": random.integers(0, VOCABULARY, (BATCH, LENGTH)).astype(np.int32),
            "input_mask": (np.arange(LENGTH) < lengths[:, None]).astype(np.int32),
            "segment_ids": random.integers(0, TYPES, (BATCH, LENGTH)).astype(np.int32),
        }
        expected = session.run(logits, {feeds[name]: given[name] for name in names})
        tf1.saved_model.simple_save(session, str(out / "saved_model"), feeds, {"logits": logits})

    (out / "inputs").mkdir()
    (out / "expected").mkdir()
    for name in names:
        np.save(out / "inputs" / f"{name}.npy", given[name])
    np.save(out / "expected" / "logits.npy", expected)
    manifest = {
        "case": out.name,
        "what": "SavedModel of TensorFlow 1: session graph, reference variables, saver",
        "family": "bert",
        "head": "seqcls",
        "format": "savedmodel",
        "made_by": {"tensorflow": tf.__version__, "script": "conformance/make_tf1_saved_model.py"},
        "config": {"hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": HEADS},
        "oracle": "the session that was saved",
        "tolerance": {"logits": {"atol": 2e-5, "rtol": 0.0}},
        "inputs": {n: {"file": f"inputs/{n}.npy", "dtype": "int32", "shape": [BATCH, LENGTH]} for n in names},
        "expected": {"logits": {"file": "expected/logits.npy", "dtype": "float32", "shape": [BATCH, LABELS]}},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()

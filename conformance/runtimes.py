"""One face for a .onnx file, a .tflite file and a checkpoint's folder, which runs in PyTorch.

prepare(tokens), invoke(), outputs(); one thread, batch one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Tokens:
    """One padded sequence; each array is [1, sequence]. The first `valid` positions are real tokens."""

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray
    valid: int


@dataclass(frozen=True)
class Model:
    """`prepare` may allocate; `invoke` only runs what was prepared, so that it alone can be timed."""

    prepare: Callable[[Tokens], None]
    invoke: Callable[[], None]
    outputs: Callable[[], dict[str, np.ndarray]]


def seeded_tokens(rng: np.random.Generator, sequence: int, valid: int, max_id: int) -> Tokens:
    """Random tokens, then padding with id 0; the second half of the valid tokens has type 1, as a passage has."""
    ids = np.zeros((1, sequence), np.int64)
    ids[0, :valid] = rng.integers(1, max_id, valid)
    mask = (np.arange(sequence) < valid).astype(np.int64)[None]
    types = ((np.arange(sequence) >= valid // 2) & (np.arange(sequence) < valid)).astype(np.int64)[None]
    return Tokens(ids, mask, types, valid)


def value_for(name: str, tokens: Tokens) -> np.ndarray:
    """The array that an input wants, by the names that exporters use (input_ids, ids, attention_mask, segment_ids)."""
    if "mask" in name:
        return tokens.mask
    if "type" in name or "segment" in name:
        return tokens.types
    if "ids" in name:
        return tokens.ids
    raise SystemExit(f"{name}: cannot tell whether this input takes ids, mask or token types")


def load(path: Path) -> Model:
    if path.is_dir():
        return load_torch(path)
    head = path.open("rb").read(8)
    return load_tflite(path) if head[4:] == b"TFL3" else load_onnx(path)


def load_onnx(path: Path) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    integer_types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    names = [output.name for output in session.get_outputs()]
    feeds: dict[str, np.ndarray] = {}
    results: list[np.ndarray] = []

    def prepare(tokens: Tokens) -> None:
        for entry in session.get_inputs():
            feeds[entry.name] = value_for(entry.name, tokens).astype(integer_types[entry.type])

    def invoke() -> None:
        results[:] = session.run(names, feeds)

    return Model(prepare, invoke, lambda: dict(zip(names, results, strict=True)))


def load_torch(path: Path) -> Model:
    """The bare encoder in eager mode, as transformers builds it."""
    import torch
    from transformers import AutoModel

    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(path).eval()
    feeds: dict[str, torch.Tensor] = {}
    results: dict[str, np.ndarray] = {}

    def prepare(tokens: Tokens) -> None:
        named = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "token_type_ids": tokens.types}
        feeds.update({name: torch.from_numpy(values) for name, values in named.items()})

    def invoke() -> None:
        with torch.inference_mode():
            results["last_hidden_state"] = model(**feeds).last_hidden_state.numpy()

    return Model(prepare, invoke, lambda: results)


def load_tflite(path: Path) -> Model:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    inputs, outputs = tflite_tensors(interpreter)

    def prepare(tokens: Tokens) -> None:
        shape = tokens.ids.shape
        resized = [entry for entry in inputs.values() if tuple(entry["shape"]) != shape]
        for entry in resized:
            if -1 not in entry["shape_signature"]:
                fixed = entry["shape"].tolist()
                raise SystemExit(f"{path}: {entry['name']} has the fixed shape {fixed}, not {list(shape)}")
            interpreter.resize_tensor_input(entry["index"], shape)
        interpreter.allocate_tensors()
        for name, entry in inputs.items():
            interpreter.set_tensor(entry["index"], value_for(name, tokens).astype(entry["dtype"]))

    def read() -> dict[str, np.ndarray]:
        return {name: interpreter.get_tensor(entry["index"]) for name, entry in outputs.items()}

    return Model(prepare, interpreter.invoke, read)


def tflite_tensors(interpreter) -> tuple[dict[str, dict], dict[str, dict]]:
    """Inputs and outputs by signature name, or by tensor name in a file without a signature."""
    signatures = list(interpreter.get_signature_list())
    if signatures:
        runner = interpreter.get_signature_runner(signatures[0])
        return runner.get_input_details(), runner.get_output_details()
    named = [interpreter.get_input_details(), interpreter.get_output_details()]
    return tuple({entry["name"]: entry for entry in entries} for entries in named)

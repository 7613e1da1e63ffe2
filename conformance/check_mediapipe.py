"""Checks that MediaPipe's TextClassifier takes a TFLite file as it is, and that its scores are LiteRT's.

usage: check_mediapipe.py MODEL.tflite [--vocab-name vocab.txt] [--tolerance 1e-4] [SENTENCE ...]
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.python import BaseOptions, text
from tokenizers import BertWordPieceTokenizer

from report import finish

SENTENCES = [
    "a gorgeous , witty , seductive movie .",
    "It's slow -- very, very slow!",
    "The plot could have been written by a committee, but the cast saves it.",
    "good",
]


def input_names(data: bytes) -> list[str]:
    """Metadata names (ids, mask, segment_ids) in the order of the graph's inputs: MediaPipe binds by these alone."""
    model = schema.Model.GetRootAs(data, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == b"TFLITE_METADATA":
            content = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            graph = metadata_schema.ModelMetadata.GetRootAs(content, 0).SubgraphMetadata(0)
            inputs = [graph.InputTensorMetadata(i) for i in range(graph.InputTensorMetadataLength())]
            return [tensor.Name().decode() for tensor in inputs]
    return []


def litert_scores(path: Path, names: list[str], ids: list[int]) -> np.ndarray:
    interpreter = Interpreter(str(path), num_threads=1)
    inputs = dict(zip(names, interpreter.get_input_details(), strict=True))
    dynamic = -1 in inputs["ids"]["shape_signature"]
    length = len(ids) if dynamic else int(inputs["ids"]["shape"][1])
    values = {name: np.zeros((1, length), np.int32) for name in names}
    values["ids"][0, : len(ids)] = ids
    values["mask"][0, : len(ids)] = 1
    if dynamic:
        for entry in inputs.values():
            interpreter.resize_tensor_input(entry["index"], [1, length])
    interpreter.allocate_tensors()
    for name, entry in inputs.items():
        interpreter.set_tensor(entry["index"], values[name])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    parser.add_argument("--vocab-name", default="vocab.txt", help="name of the vocabulary inside the model")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()

    try:
        options = text.TextClassifierOptions(base_options=BaseOptions(model_asset_path=str(args.model)))
        classifier = text.TextClassifier.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        finish({"model": args.model.name}, [f"mediapipe: {error}"])

    names = input_names(args.model.read_bytes())
    with zipfile.ZipFile(args.model) as archive:
        files = archive.namelist()
        lines = archive.read(args.vocab_name).decode("utf8").splitlines()
    tokenizer = BertWordPieceTokenizer({token: index for index, token in enumerate(lines)}, lowercase=True)

    rows, problems = [], []
    for sentence in args.sentences:
        categories = classifier.classify(sentence).classifications[0].categories
        scores = np.zeros(len(categories), np.float32)
        labels = [""] * len(categories)
        for category in categories:
            scores[category.index] = category.score
            labels[category.index] = category.category_name
        expected = litert_scores(args.model, names, tokenizer.encode(sentence).ids)
        difference = float(np.abs(scores - expected).max())
        if not difference <= args.tolerance:
            problems.append(f"{sentence!r}: mediapipe {scores.tolist()}, LiteRT {expected.tolist()}")
        rows.append(
            {"sentence": sentence, "scores": dict(zip(labels, scores.tolist(), strict=True)), "difference": difference}
        )
    classifier.close()
    finish({"model": args.model.name, "inputs": names, "files": files, "sentences": rows}, problems)


main()

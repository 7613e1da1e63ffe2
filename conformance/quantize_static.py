"""The peer for int8 ONNX: onnxruntime's quantize_static on a float file and lines of text, with its cost.

usage: quantize_static.py MODEL.onnx OUT.onnx TEXTS.txt VOCAB.txt [--samples 128] [--sequence-length 128] [--cased]
"""

import argparse
from pathlib import Path

from report import Phases, finish, size_mb
from runtimes import Tokens, value_for

phases = Phases()
import numpy as np  # noqa: E402  the import is a phase of its own
import onnxruntime  # noqa: E402
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static  # noqa: E402
from tokenizers import BertWordPieceTokenizer  # noqa: E402

phases.done("import")


class Texts(CalibrationDataReader):
    """The first lines that are not empty, each padded to the length of the model."""

    def __init__(self, model: Path, texts: Path, tokenizer: BertWordPieceTokenizer, samples: int, length: int) -> None:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        dtypes = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
        inputs = [(each.name, dtypes[each.type]) for each in session.get_inputs()]
        lines = [line for line in texts.read_text().splitlines() if line.strip()][:samples]
        self.count = len(lines)
        self.feeds = iter([self.feed(tokenizer.encode(line).ids[:length], inputs, length) for line in lines])

    @staticmethod
    def feed(ids: list[int], inputs: list[tuple[str, type]], length: int) -> dict[str, np.ndarray]:
        valid = len(ids)
        padded = np.array([ids + [0] * (length - valid)])
        mask = (np.arange(length) < valid).astype(np.int64)[None]
        tokens = Tokens(padded, mask, np.zeros_like(mask), valid)
        return {name: value_for(name, tokens).astype(dtype) for name, dtype in inputs}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("vocab", type=Path)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--cased", action="store_true")
    args = parser.parse_args()

    tokenizer = BertWordPieceTokenizer(str(args.vocab), lowercase=not args.cased)
    reader = Texts(args.model, args.texts, tokenizer, args.samples, args.sequence_length)
    phases.done("read")
    quantize_static(
        args.model,
        args.out,
        reader,
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
    )
    phases.done("quantize")
    cost = phases.summary()
    finish({"tool": f"onnxruntime {onnxruntime.__version__}", "samples": reader.count, **cost, "size_mb": size_mb(args.out)}, [])


if __name__ == "__main__":
    main()

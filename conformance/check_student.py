"""Checks that transformers loads a folder of `mbert extract` or `distill` whole, and that its outputs are those of mbert's ONNX file.

usage: check_student.py FOLDER MODEL.onnx [--texts FILE] [--tolerance 1e-5]
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers

from report import finish

SENTENCES = ["a gorgeous , witty , seductive movie .", "It's slow -- very, very slow!", "good"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    config = transformers.AutoConfig.from_pretrained(arguments.folder)
    architecture = getattr(transformers, config.architectures[0])
    model, report = architecture.from_pretrained(arguments.folder, output_loading_info=True)
    problems = [f"{kind}: {names}" for kind, names in report.items() if names]
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
    session = onnxruntime.InferenceSession(arguments.model)
    inputs = {value.name for value in session.get_inputs()}
    texts = arguments.texts.read_text().splitlines() if arguments.texts else SENTENCES
    largest = 0.0
    model.eval()
    with torch.no_grad():
        for text in texts:
            tokens = tokenizer(text, return_tensors="pt")
            expected = model(**tokens)[0].numpy()
            feeds = {name: value.numpy() for name, value in tokens.items() if name in inputs}
            # A tokenizer that gives no token types stands for type 0, as the model's own default does.
            if "token_type_ids" in inputs:
                feeds.setdefault("token_type_ids", np.zeros_like(feeds["input_ids"]))
            found = session.run(None, feeds)[0]
            largest = max(largest, float(np.abs(expected - found).max()))
    if largest > arguments.tolerance:
        problems.append(f"outputs differ by {largest}")
    parameters = sum(value.numel() for value in model.parameters())
    finish({"parameters": parameters, "texts": len(texts), "max_difference": largest}, problems)


if __name__ == "__main__":
    main()

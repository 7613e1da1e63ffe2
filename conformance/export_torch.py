"""The peer for ONNX: torch.onnx.export of a Hugging Face folder, with its cost.

usage: export_torch.py CHECKPOINT OUT.onnx [--sequence-length 128] [--dynamic] [--opset 17] [--dynamo]
"""

import argparse
import warnings
from pathlib import Path

from report import Phases, finish, size_mb

phases = Phases()
import torch  # noqa: E402  the import is a phase of its own
import transformers  # noqa: E402

phases.done("import")

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
OUTPUTS = {
    "ForQuestionAnswering": ["start_logits", "end_logits"],
    "ForPreTraining": ["prediction_logits", "seq_relationship_logits"],
    "Model": ["last_hidden_state", "pooler_output"],
}


class Positional(torch.nn.Module):
    """Tracing passes inputs by position; a model's own order differs between architectures."""

    def __init__(self, model: torch.nn.Module, inputs: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        self.outputs = outputs

    def forward(self, *values):
        result = self.model(**dict(zip(self.inputs, values, strict=True)))
        return tuple(result[name] for name in self.outputs)


def inputs_of(model: torch.nn.Module) -> list[str]:
    """Names of the model's inputs; token types where it tells some apart."""
    has_types = getattr(model.config, "type_vocab_size", 0) > 1
    return [name for name in INPUTS if name != "token_type_ids" or has_types]


def load(folder: Path) -> tuple[str, torch.nn.Module]:
    config = transformers.AutoConfig.from_pretrained(folder)
    architecture = config.architectures[0]
    return architecture, getattr(transformers, architecture).from_pretrained(folder).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--dynamic", action="store_true", help="batch and sequence stay symbols")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--dynamo", action="store_true", help="the torch.export based exporter (opset 18 or newer)")
    args = parser.parse_args()

    architecture, model = load(args.checkpoint)
    outputs = next((names for suffix, names in OUTPUTS.items() if architecture.endswith(suffix)), ["logits"])
    phases.done("load")

    # A batch of one is burned in as a constant by the dynamo exporter, so a dynamic export is traced with two.
    shape = (2 if args.dynamic else 1, args.sequence_length)
    ids = torch.randint(0, model.config.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    inputs = inputs_of(model)
    example = (ids, torch.ones(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64))[: len(inputs)]
    axes = {0: "batch", 1: "sequence"}
    options = {"dynamo": args.dynamo, "opset_version": max(args.opset, 18) if args.dynamo else args.opset}
    if args.dynamo:
        options.update(external_data=False, verbose=False)  # it prints its progress to stdout otherwise
    if args.dynamic and args.dynamo:
        options["dynamic_shapes"] = (tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for _ in inputs),)
    elif args.dynamic:
        options["dynamic_axes"] = dict.fromkeys(inputs + outputs, axes)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Positional(model, inputs, outputs).eval(),
            example,
            args.out,
            input_names=inputs,
            output_names=outputs,
            **options,
        )
    phases.done("export")
    cost = phases.summary()

    import onnx  # after the measurement: it is only for counting

    graph = onnx.load(args.out, load_external_data=False)
    result = {
        "tool": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "architecture": architecture,
        "exporter": "dynamo" if args.dynamo else "legacy",
        "opset": next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx")),
        "shape": "dynamic" if args.dynamic else list(shape),
        **cost,
        "size_mb": size_mb(args.out),
        "nodes": len(graph.graph.node),
    }
    finish(result, [])


main()

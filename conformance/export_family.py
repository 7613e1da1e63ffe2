"""Tiny models of encoders, exported to ONNX as people do: what mbert reads of families that it does not build itself.

usage: export_family.py OUT_FOLDER [CASE …]

Writes OUT/CASE-torchscript.onnx and OUT/CASE-dynamo.onnx with open batch and sequence, and says of each whether torch could.
"""

import argparse
import contextlib
import io
import json
import warnings
from pathlib import Path

import torch
import transformers

SIZES = {"vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 200}
ROBERTA = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1}
XLM = {"vocab_size": 100, "emb_dim": 16, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 200}

# By case: class, config.
CASES = {
    "big-bird": ("BigBirdForSequenceClassification", {**SIZES, "attention_type": "original_full"}),
    "bert-generation": ("BertGenerationEncoder", SIZES),
    "convbert": ("ConvBertForSequenceClassification", {**SIZES, "embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 1}),
    "dpr": ("DPRContextEncoder", SIZES),
    "electra-multiple-choice": ("ElectraForMultipleChoice", {**SIZES, "embedding_size": 12}),
    "esm": ("EsmForTokenClassification", {**SIZES, "pad_token_id": 1, "mask_token_id": 3, "position_embedding_type": "rotary"}),
    "eurobert": ("EuroBertForSequenceClassification", {**SIZES, "num_key_value_heads": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}),
    "flaubert": ("FlaubertForSequenceClassification", XLM),
    "fnet": ("FNetForSequenceClassification", SIZES),
    "funnel": ("FunnelForSequenceClassification", {"vocab_size": 100, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 24, "block_sizes": [1, 1]}),
    "ibert": ("IBertForSequenceClassification", ROBERTA),
    "jina-embeddings-v3": ("JinaEmbeddingsV3Model", ROBERTA),
    "layoutlm": ("LayoutLMForTokenClassification", SIZES),
    "luke": ("LukeModel", {**ROBERTA, "entity_vocab_size": 10, "entity_emb_size": 8}),
    "roc-bert": ("RoCBertForSequenceClassification", {**SIZES, "pronunciation_vocab_size": 20, "shape_vocab_size": 20, "pronunciation_embed_dim": 8, "shape_embed_dim": 8}),
    "roformer": ("RoFormerForSequenceClassification", {**SIZES, "embedding_size": 12, "rotary_value": True}),
    "splinter": ("SplinterForQuestionAnswering", SIZES),
    "squeezebert": ("SqueezeBertForSequenceClassification", {**SIZES, "embedding_size": 16, "q_groups": 2, "k_groups": 2, "v_groups": 2}),
    "t5-encoder": ("T5EncoderModel", {"vocab_size": 100, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}),
    "ultrabert": ("UltrabertForSequenceClassification", {**SIZES, "sliding_window": 8}),
    "xlm": ("XLMForSequenceClassification", XLM),
    "xlm-roberta-xl": ("XLMRobertaXLForSequenceClassification", ROBERTA),
    "xlnet": ("XLNetForSequenceClassification", {"vocab_size": 100, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}),
    "xmod": ("XmodForSequenceClassification", {**ROBERTA, "languages": ["en_XX"], "default_language": "en_XX"}),
}
INPUTS = ["input_ids", "attention_mask"]


class Positional(torch.nn.Module):
    """Tracing passes inputs by position, and wants a tuple."""

    def __init__(self, model: torch.nn.Module, output: str) -> None:
        super().__init__()
        self.model = model
        self.output = output

    def forward(self, *values):
        return self.model(**dict(zip(INPUTS, values, strict=True)))[self.output]


def build(name: str, config: dict) -> torch.nn.Module:
    torch.manual_seed(1)
    model = getattr(transformers, name)._from_config(getattr(transformers, name).config_class(**config)).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape)
            if "norm" in key.lower():
                parameter.add_(0.1 * noise)
            else:
                parameter.copy_(noise * (0.3 if parameter.dim() == 2 else 0.1))
    return model


def export(name: str, model: torch.nn.Module, out: Path, dynamo: bool) -> None:
    shape = (2, 2, 24) if "MultipleChoice" in name else (2, 24)
    ids = torch.randint(3, 100, shape)
    mask = torch.ones_like(ids)
    mask[1, ..., 15:] = 0
    result = model(input_ids=ids, attention_mask=mask)
    output = next(key for key in ("logits", "start_logits", "last_hidden_state", "pooler_output") if key in result)
    open_axes = {0: "batch", len(shape) - 1: "sequence"}
    if dynamo:
        options = {"dynamic_shapes": (tuple(dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC) for _ in INPUTS),)}
        options |= {"opset_version": 18, "external_data": False, "verbose": False}
    else:
        options = {"dynamic_axes": {**dict.fromkeys(INPUTS, open_axes), output: {0: "batch"}}, "opset_version": 17}
        if result[output].dim() == 3 or output == "start_logits":
            options["dynamic_axes"][output] = {0: "batch", 1: "sequence"}
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        torch.onnx.export(Positional(model, output).eval(), (ids, mask), out, input_names=INPUTS, output_names=[output], dynamo=dynamo, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for case in args.cases or CASES:
        name, config = CASES[case]
        for exporter in ("torchscript", "dynamo"):
            problem = None
            try:
                export(name, build(name, config), args.out / f"{case}-{exporter}.onnx", exporter == "dynamo")
            except Exception as cause:  # whatever torch says is the answer
                problem = f"{type(cause).__name__}: {str(cause).splitlines()[0]}"
            print(json.dumps({"case": case, "exporter": exporter, "problem": problem}), flush=True)


main()

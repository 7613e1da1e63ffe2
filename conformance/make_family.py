"""Tiny checkpoints of the encoder family with what transformers computes from them: fixtures.

usage: make_family.py OUT_FOLDER [CASE …]

BERT's relative keys need transformers 4, which was the last to have them; all other cases need transformers 5.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
import transformers

BATCH, SEQUENCE, CHOICES = 3, 24, 2
VALID = [24, 15, 6]
COMMON = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
DEBERTA = {**COMMON, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
MODERN = {**COMMON, "num_hidden_layers": 3, "local_attention": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}

HEADS = {"SequenceClassification": "seqcls", "TokenClassification": "tokcls", "QuestionAnswering": "qa", "MaskedLM": "mlm", "MultipleChoice": "mc", "DebertaV2Model": "features"}

# By case: class, config, outputs, what.
CASES = {
    "bert-relkey": ("BertForSequenceClassification", {**COMMON, "position_embedding_type": "relative_key", "num_labels": 3}, ["logits"], "relative_key (transformers 4)"),
    "bert-relkeyquery": ("BertForTokenClassification", {**COMMON, "position_embedding_type": "relative_key_query", "max_position_embeddings": 24, "num_labels": 3}, ["logits"], "relative_key_query (transformers 4), as many positions as tokens"),
    "deberta-v1-mlm": ("DebertaForMaskedLM", {**DEBERTA, "position_biased_input": True, "type_vocab_size": 2, "max_relative_positions": 10, "embedding_size": 12, "pos_att_type": "c2p|p2c"}, ["logits"], "absolute positions, token types, embed_proj, distances beyond the table, legacy head"),
    "deberta-v2-conv": ("DebertaV2ForMaskedLM", {**DEBERTA, "position_biased_input": False, "type_vocab_size": 0, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True, "conv_kernel_size": 3, "conv_act": "gelu", "attention_head_size": 8, "legacy": False}, ["logits"], "xlarge's convolution, lm_predictions"),
    "deberta-v2-plain": ("DebertaV2ForMultipleChoice", {**DEBERTA, "position_biased_input": True, "type_vocab_size": 2, "max_relative_positions": 10, "pos_att_type": ["c2p"]}, ["logits"], "no buckets, keys of their own, distances beyond the table, content to position only"),
    "deberta-v2-own": ("DebertaV2Model", {**DEBERTA, "position_biased_input": False, "type_vocab_size": 0, "max_relative_positions": 40, "position_buckets": 6, "norm_rel_ebd": "none", "share_att_key": False}, ["last_hidden_state"], "buckets with projections of their own for positions"),
    "modernbert-qa": ("ModernBertForQuestionAnswering", {**MODERN, "norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True, "classifier_activation": "silu", "hidden_activation": "gelu_pytorch_tanh", "num_labels": 2}, ["start_logits", "end_logits"], "biases everywhere"),
    "modernbert-mean": ("ModernBertForSequenceClassification", {**MODERN, "classifier_pooling": "mean", "local_attention": 7, "num_labels": 3}, ["logits"], "mean pooling, an odd window"),
    "nomicbert-seqcls": ("NomicBertForSequenceClassification", {**COMMON, "num_labels": 3}, ["logits"], "pooler"),
    "nomicbert-mlm": ("NomicBertForMaskedLM", {**COMMON, "head_dim": 10}, ["logits"], "wider heads"),
    "gte-seqcls": ("GteForSequenceClassification", {**COMMON, "type_vocab_size": 0, "num_labels": 3}, ["logits"], "no token types, pooler"),
    "gte-mlm": ("GteForMaskedLM", {**COMMON, "type_vocab_size": 2, "pad_token_id": 0}, ["logits"], "token types"),
    "roformer-mlm": ("RoFormerForMaskedLM", {**COMMON, "embedding_size": 12}, ["logits"], "embedding_size below hidden_size"),
    "roformer-mc": ("RoFormerForMultipleChoice", {**COMMON, "rotary_value": True}, ["logits"], "rotated values, the last token's vector"),
}


def perturb(model: torch.nn.Module) -> None:
    """Every parameter matters: norms away from one, biases and padding's row away from zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() or "emb_ln" in name:
                parameter.add_(0.1 * noise)
            else:
                parameter.copy_(noise * (0.3 if parameter.dim() == 2 else 0.1))


def inputs(choices: bool, token_types: bool) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    shape = (BATCH, CHOICES, SEQUENCE) if choices else (BATCH, SEQUENCE)
    ids = random.integers(3, COMMON["vocab_size"], shape)
    mask = np.zeros(shape, np.int64)
    for row, valid in enumerate(VALID):
        mask[row, ..., :valid] = 1
    feeds = {"input_ids": ids * mask, "attention_mask": mask}
    if token_types:
        types = np.zeros(shape, np.int64)
        types[..., SEQUENCE // 3 :] = 1
        feeds["token_type_ids"] = types * mask
    return feeds


def write(case: str, out: Path) -> None:
    name, config, outputs, what = CASES[case]
    cls = getattr(transformers, name)
    torch.manual_seed(1)
    loaded = cls.config_class(**config, attn_implementation="eager")
    model = cls(loaded).eval()
    perturb(model)
    model.tie_weights()
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    (out / "generation_config.json").unlink(missing_ok=True)
    model = cls.from_pretrained(out, attn_implementation="eager").eval()
    takes_types = loaded.model_type != "modernbert" and loaded.type_vocab_size > 1
    feeds = inputs("MultipleChoice" in name, takes_types)
    with torch.no_grad():
        results = model(**{key: torch.from_numpy(value) for key, value in feeds.items()})
    manifest = {"case": f"family-{case}", "family": loaded.model_type, "head": HEADS[name.rpartition("For")[2]], "format": "safetensors", "what": what, "architecture": name, "model_type": loaded.model_type, "made_by": f"transformers {transformers.__version__}, torch {torch.__version__}, eager, float32"}
    manifest |= {"inputs": {}, "expected": {}, "tolerance": {}}
    for kind, arrays in (("inputs", feeds), ("expected", {key: results[key].numpy() for key in outputs})):
        (out / kind).mkdir(exist_ok=True)
        for key, array in arrays.items():
            file = f"{kind}/{key}.npy"
            np.save(out / file, array)
            manifest[kind][key] = {"file": file, "dtype": str(array.dtype), "shape": list(array.shape)}
            if kind == "expected":
                manifest["tolerance"][key] = {"atol": max(1e-4, 5e-5 * float(np.abs(array).max())), "rtol": 0.0}
    manifest["files"] = [
        {"file": path.name, "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(out.iterdir())
        if path.is_file() and path.name != "manifest.json"
    ]
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    for case in args.cases or CASES:
        write(case, args.out / f"family-{case}")
        print(case)


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    main()

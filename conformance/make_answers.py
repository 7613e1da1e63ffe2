"""Tiny classifiers of the encoder family with tokenizers, and what transformers' pipeline answers on texts: fixtures.

usage: make_answers.py TOKENIZERS_FOLDER OUT_FOLDER [CASE …]

Tokenizers are those of conformance/tokenizers; the folders that are written name theirs and leave its files out.
"""

import argparse
import gzip
import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch  # noqa: E402
import transformers  # noqa: E402

COMMON = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "num_labels": 3}
TOKENS = 64
#: Weights on a coarse grid take a tenth of the room when they are compressed.
GRID = 8
# By case: class, config, tokenizer, what.
CASES = {
    "answers-roberta": ("RobertaForSequenceClassification", {"max_position_embeddings": TOKENS + 2, "type_vocab_size": 1, "pad_token_id": 1}, "bpe-roberta", "two rows of positions fewer than the table has, </s></s> between two texts"),
    "answers-xlmr": ("XLMRobertaForSequenceClassification", {"max_position_embeddings": TOKENS + 2, "type_vocab_size": 1, "pad_token_id": 1}, "unigram-xlmr", "the same, words of SentencePiece"),
    "answers-mpnet": ("MPNetForSequenceClassification", {"max_position_embeddings": TOKENS + 2, "pad_token_id": 1}, "vocab-mpnet", "[UNK] beside <s>, no token types"),
    "answers-electra": ("ElectraForSequenceClassification", {"max_position_embeddings": TOKENS, "embedding_size": 8}, "wordpiece-uncased", "token types of two texts"),
    "answers-albert": ("AlbertForSequenceClassification", {"max_position_embeddings": TOKENS, "embedding_size": 8}, "unigram-albert", "token types, words of SentencePiece"),
    "answers-deberta": ("DebertaV2ForSequenceClassification", {"max_position_embeddings": TOKENS, "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0, "pooler_hidden_size": 8}, "unigram-albert", "buckets of distances beyond the first sixteen"),
    "answers-modernbert": ("ModernBertForSequenceClassification", {"max_position_embeddings": TOKENS, "local_attention": 16, "num_hidden_layers": 3}, "bpe-modernbert", "windows, no token types"),
}
LONG = "The quick brown fox jumps over the lazy dog while seventy other animals look on and wonder. " * 6
TEXTS = [
    ["a small text", None],
    ["Is this RIGHT?", "Yes: it is, and it was."],
    ["naïve café, Straße — 12.50 €", None],
    ["漢字 と かな", "смешанный текст"],
    ["\U0001f600 ☃ \u0e01", None],
    ["  spaces\tand\nlines  ", "two  spaces"],
    [LONG, None],
    [LONG, "short"],
    ["short", LONG],
    ["<s> [MASK] </s> [SEP]", None],
]


def perturb(model: torch.nn.Module) -> None:
    """Every parameter matters, and lies on the grid."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name.lower() and parameter.dim() == 1 and name.endswith("weight")
            values = 1 + 0.2 * noise if is_norm else noise * 0.4
            parameter.copy_(torch.round(values * GRID) / GRID)


def unpack(tokenizer: Path, folder: Path) -> None:
    for path in tokenizer.iterdir():
        if path.suffix == ".gz":
            (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, folder)


def write(case: str, tokenizers: Path, out: Path) -> None:
    name, config, tokenizer_name, what = CASES[case]
    cls = getattr(transformers, name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        unpack(tokenizers / tokenizer_name, folder)
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")) if (folder / "tokenizer.json").exists() else None
        vocabulary = len(tokenizer) if tokenizer else len((folder / "vocab.txt").read_text().splitlines())
        ids = {"pad_token_id": config.get("pad_token_id", tokenizer.convert_tokens_to_ids("[PAD]") if tokenizer and "[PAD]" in tokenizer.get_vocab() else 0)}
        special = {key: 0 for key in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")} if "Modern" in name else {}
        torch.manual_seed(1)
        model = cls(cls.config_class(**COMMON | config | ids | special, vocab_size=vocabulary, attn_implementation="eager")).eval()
        perturb(model)
        model.save_pretrained(folder)
        pipe = transformers.pipeline("text-classification", model=str(folder), tokenizer=str(folder), model_kwargs={"attn_implementation": "eager"})
        pipe.tokenizer.model_max_length = TOKENS
        if config.get("type_vocab_size", 2) > 1 and "Modern" not in name and "MPNet" not in name:
            # transformers 5 gives them only where a tokenizer's class or its settings say so.
            pipe.tokenizer.model_input_names = ["input_ids", "attention_mask", "token_type_ids"]
        answers = []
        for text, second in TEXTS:
            given = {"text": text} if second is None else {"text": text, "text_pair": second}
            scores = pipe(given, function_to_apply="none", top_k=None, truncation=True)
            by_label = {score["label"]: score["score"] for score in scores}
            answers.append([text, second, [round(by_label[f"LABEL_{i}"], 7) for i in range(3)]])
        out.mkdir(parents=True, exist_ok=True)
        weights = (folder / "model.safetensors").read_bytes()
        (out / "model.safetensors.gz").write_bytes(gzip.compress(weights, 9, mtime=0))
        shutil.copy(folder / "config.json", out)
    manifest = {"case": case, "what": what, "tokenizer": tokenizer_name, "max_length": TOKENS, "answers": answers}
    manifest["made_by"] = f"transformers {transformers.__version__}, torch {torch.__version__}: pipeline('text-classification')"
    (out / "answers.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    for case in args.cases or CASES:
        write(case, args.tokenizers, args.out / case)
        print(case)


if __name__ == "__main__":
    main()

"""Writes answers.json: what the Python libraries answer for cases.json. The suite compares every consumer with it.

usage: make_answers.py ALL_MINILM_L6_V2 > answers.json    (environment `torch`, and sentence-transformers 5.1.2)
"""

import gzip
import inspect
import json
import sys
import tempfile
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

HERE = Path(__file__).parent
FIXTURES = HERE.parent.parent / "fixtures"


def rounded(values) -> list[float]:
    return [float(f"{value:.7g}") for value in values]


def classes(logits, model) -> list:
    scores = logits.softmax(-1)
    return [
        {model.config.id2label[i]: value for i, value in enumerate(rounded(row))} for row in scores.tolist()
    ]


def words(logits, model, tokenizer, batch) -> list:
    scores, best = logits.softmax(-1).max(-1)
    answers = []
    for ids, row, labels in zip(batch["input_ids"].tolist(), scores.tolist(), best.tolist()):
        tokens = [
            {"word": tokenizer.decode([i]), "entity": model.config.id2label[label], "score": rounded([score])[0]}
            for i, label, score in zip(ids, labels, row)
            if i not in tokenizer.all_special_ids
        ]
        answers.append([token for token in tokens if token["entity"] != "O"])
    return answers


def masked(logits, tokenizer, batch) -> list:
    answers = []
    for ids, row in zip(batch["input_ids"], logits):
        place = (ids == tokenizer.mask_token_id).nonzero()[0, 0]
        scores, tokens = row[place].softmax(-1).topk(5)
        answers.append(
            [
                {"token_str": tokenizer.decode([token]), "score": score}
                for token, score in zip(tokens.tolist(), rounded(scores.tolist()))
            ]
        )
    return answers


def spans(outputs, tokenizer, batch) -> list:
    """The best span inside the context, as the product of both softmaxes. [CLS] may take a share, but answers nothing."""
    answers = []
    for row, ids in enumerate(batch["input_ids"].tolist()):
        context = [place == 1 for place in batch.sequence_ids(row)]
        allowed = torch.tensor([True, *context[1:]])
        start, end = (
            logits[row].masked_fill(~allowed, -torch.inf).softmax(-1)
            for logits in (outputs.start_logits, outputs.end_logits)
        )
        products = torch.outer(start, end).triu()
        products[0, :] = 0
        products[:, 0] = 0
        first, last = divmod(products.argmax().item(), len(ids))
        score = rounded([products.max().item()])[0]
        answers.append({"answer": tokenizer.decode(ids[first : last + 1], skip_special_tokens=True), "score": score})
    return answers


def hidden(states, batch) -> list:
    """The mean over the tokens that are no padding, of length 1."""
    mask = batch["attention_mask"][..., None]
    mean = (states * mask).sum(1) / mask.sum(1)
    return [rounded(row) for row in torch.nn.functional.normalize(mean).tolist()]


MODELS = {
    "text-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "fill-mask": AutoModelForMaskedLM,
    "feature-extraction": AutoModel,
}


def folder_of(case: dict, parent: Path) -> Path:
    """The model's fixture with the tokenizer's, as one folder."""
    folder = parent / case["model"]
    folder.mkdir()
    for source in [FIXTURES / case["model"]] + [FIXTURES / "tokenizers" / name for name in [case.get("tokenizer")] if name]:
        for file in source.iterdir():
            if file.suffix == ".gz":
                (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
            elif file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
    return folder


def answers(case: dict, minilm: str) -> list:
    if case["model"] == "all-MiniLM-L6-v2":
        return [rounded(vector) for vector in SentenceTransformer(minilm, device="cpu").encode(case["texts"]).tolist()]
    with tempfile.TemporaryDirectory() as parent:
        return answers_of(case, folder_of(case, Path(parent)))


def answers_of(case: dict, folder: Path) -> list:
    tokenizer = AutoTokenizer.from_pretrained(folder, **case.get("special", {}))
    model = MODELS[case["task"]].from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    batch = tokenizer(case["texts"], case.get("contexts"), padding=True, return_tensors="pt")
    takes = inspect.signature(model.forward).parameters
    outputs = model(**{name: batch[name] for name in batch if name in takes})
    match case["task"]:
        case "text-classification":
            return classes(outputs.logits, model)
        case "token-classification":
            return words(outputs.logits, model, tokenizer, batch)
        case "question-answering":
            return spans(outputs, tokenizer, batch)
        case "fill-mask":
            return masked(outputs.logits, tokenizer, batch)
        case _:
            return hidden(outputs.last_hidden_state, batch)


def main() -> None:
    torch.set_grad_enabled(False)
    cases = json.loads((HERE / "cases.json").read_text())
    made = {case["model"]: answers(case, sys.argv[1]) for case in cases}
    print("{\n" + ",\n".join(f"  {json.dumps(name)}: {json.dumps(made[name])}" for name in made) + "\n}")


main()

"""Lines in six scripts, with whatever tokenizers have got wrong before: the same on every machine."""

import pathlib
import random

SENTENCES = pathlib.Path(__file__).parents[2] / "fixtures/mobilebert-demo/sst2-train-256.txt"

# Ranges of code points, common ones twice.
SCRIPTS = {
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "cyrillic": [(0x400, 0x45F), (0x430, 0x44F), (0x460, 0x4FF)],
    "greek": [(0x386, 0x3CE), (0x3B1, 0x3C9), (0x1F00, 0x1FFF)],
    "arabic": [(0x621, 0x65F), (0x660, 0x669), (0x671, 0x6D3), (0xFB50, 0xFB70)],
    "han": [
        (0x4E00, 0x4FFF),
        (0x3041, 0x3096),
        (0x30A1, 0x30FA),
        (0x3400, 0x3410),
        (0xFF01, 0xFF60),
        (0x20000, 0x20010),
        (0xF900, 0xF910),
        (0xAC00, 0xAC40),
    ],
    "marks": [
        (0x1F600, 0x1F64F),
        (0x300, 0x36F),
        (0x61, 0x7A),
        (0x1F3FB, 0x1F3FF),
        (0x1F1E6, 0x1F1FF),
        (0x2600, 0x26FF),
        (0x200B, 0x200F),
        (0xFE00, 0xFE0F),
        (0xE000, 0xE008),
        (0x900, 0x94D),
        (0xE01, 0xE4E),
    ],
}
PUNCTUATION = list(".,;:!?()[]{}\"'`~@#$%^&*-_=+/\\|<>«»“”‘’…–—·、。，！？।؟،€£¥§°±×÷½²™©")
SPACES = [" "] * 12 + ["  ", "\t", "\u00a0", "\u3000", "\u2009", "\u2028", "\ufeff", "\u0085", "\r"]
ODD = ["\x00", "\x01", "\x7f", "\u00ad", "\ufffd", "\u200d", "\u2060", "\u061c", "0", "1", "23", "456", "7890"]
HARD = [
    "",
    " ",
    "   ",
    "\t",
    "a" * 100,
    "a" * 101,
    "x" * 250,
    "\u0300",
    "e\u0301",
    "I\u0307",
    "\u0130stanbul \u1e9e",
    "ΟΔΥΣΣΕΥΣ Σ ΑΣ.",
    "ﬁ ﬂ ℡ ㎏ Ⅻ ½",
    "<s> a </s>",
    "[CLS] a [SEP] [MASK]",
    "a[MASK]b <mask> c",
    "  <mask>  x  [E1]y <url> <url>z",
    "it's don't we'll I'VE",
    "a\u0300\u0301b",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪",
    "ＡＢＣ１２３",
    "\u1100\u1161\u11a8 \uac01",
    "▁a ▁ b▁",
    "don\u2019t ``quoted''",
    "__proto__ constructor",
]


def make_lines(per_script: int, sentences: int) -> list[str]:
    random_ = random.Random(7)
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()[:sentences] + HARD
    for ranges in SCRIPTS.values():
        pool = [chr(code) for first, last in ranges for code in range(first, last + 1)]
        lines += [_line(random_, pool) for _ in range(per_script)]
    return lines


def _line(random_: random.Random, pool: list[str]) -> str:
    parts = []
    for _ in range(random_.randint(1, 10)):
        kind = random_.random()
        if kind < 0.75:
            parts.append("".join(random_.choices(pool, k=random_.randint(1, 8))))
        elif kind < 0.9:
            parts.append(random_.choice(PUNCTUATION) * random_.choice([1, 1, 1, 2, 3]))
        else:
            parts.append(random_.choice(ODD))
        parts.append(random_.choice(SPACES) if random_.random() < 0.9 else "")
    return "".join(parts)

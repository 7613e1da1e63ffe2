"""Writes sentence-transformers' vectors of the sentences in the first column of a TSV file, as float32, row by row.

usage: make_vectors.py ALL_MINILM_L6_V2 TEXTS.tsv > vectors.f32    (environment `torch`, and sentence-transformers 5.1.2)
"""

import sys

import numpy as np
from sentence_transformers import SentenceTransformer

with open(sys.argv[2], encoding="utf8") as file:
    sentences = [line.split("\t")[0] for line in file.read().splitlines()[1:]]
vectors = SentenceTransformer(sys.argv[1], device="cpu").encode(sentences)
sys.stdout.buffer.write(vectors.astype(np.float32).tobytes())

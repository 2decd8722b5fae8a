"""What is proven before a training may start; each failure stops it and names its proof.

The mistakes that these proofs catch leave a loss curve that looks fine.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError
from pipeline.core.record import Finite, record
from pipeline.dedup.decontaminate import example_leaks
from pipeline.text.chat import IGNORED
from pipeline.text.chat_template import template_digest
from pipeline.train.batch.rows import Rows, lengths, prove_labels, supervised
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from schemas.pairs import Examples

MASKS_SHOWN = 3  # rows whose proven mask the report shows in colour


@record
class Proof:
    """One thing that was checked on the real rows and the real model, and held."""

    name: str
    value: float
    threshold: Finite
    text: str


@record
class Mask:
    """The proven loss mask of a row."""

    pair_id: str
    tokens: tuple[tuple[str, bool], ...]  # text, and whether trained; together they spell the row


def prove_no_leak(examples: DataFrame[Examples]) -> list[Proof]:
    """Check that no row of train or validation repeats a test row; TrainingError where one does."""
    if not examples.height or "test" not in examples["split"].unique():
        return []
    leaks = [leak for leak in example_leaks(examples) if leak.split == "test"]
    if leaks:
        first, rows_out = leaks[0], len({leak.pair_id for leak in leaks})
        raise TrainingError(
            f"leak: {rows_out} rows of train or validation repeat test rows, such as "
            f"{first.pair_id} and {first.test_pair_id} ({first.kind}); expected none; run the flow "
            "again, which decontaminates, or take the rows out"
        )
    tests = examples.filter(pl.col("split") == "test").height
    text = f"no row of train or validation repeats one of {tests} test rows"
    return [Proof("leak", 0, 0, text)]


def prove_template(rows: Rows, base: BaseModel) -> Proof:
    """Check that the rows were rendered with the template of the base."""
    own = template_digest(load_tokenizer(base.path, base.thinking))
    if rows.template_digest != own:
        raise TrainingError(
            f"wrong template: the rows were rendered with template {rows.template_digest[:12]}, "
            f"and the base model has {own[:12]}; expected one and the same; tokenize the rows "
            "again with the base model's own tokenizer"
        )
    return Proof("template", 1, 1, f"rows and base model share template {own[:12]}")


def prove_mask(rows: Rows, tokenizer: Any) -> list[Proof]:
    """Check the loss mask, and the stop token, on the very labels that are trained."""
    labels = [*rows.train["labels"], *rows.validation["labels"]]
    for number, row in enumerate(labels):
        prove_labels(tokenizer, number, row)
    trained, tokens = sum(map(supervised, labels)), sum(map(len, labels))
    out = rows.dropped.filter(pl.col("reason") == "no_tokens_supervised").height
    count = len(labels)
    mask = (
        f"{trained:,} of {tokens:,} tokens are trained: in each of {count:,} rows some and not all"
    )
    stop = f"the end of the turn is trained in each of {count:,} rows"
    ledger = f"{out:,} counted out into the ledger; none is left"
    return [
        Proof("loss mask", trained / tokens, 1, mask),
        Proof("stop token", count, count, stop),
        Proof("rows without supervised tokens", out, 0, ledger),
    ]


def shown_masks(rows: Rows, tokenizer: Any) -> list[Mask]:
    """Return the mask of a few train rows, from the shortest to one of middle length."""
    sizes = lengths(rows.train)
    order = sorted(range(len(sizes)), key=lambda row: sizes[row])
    last = len(order) // 2
    picked = sorted({order[round(part * last / (MASKS_SHOWN - 1))] for part in range(MASKS_SHOWN)})
    shown = [rows.train[row] for row in picked]
    return [
        Mask(row["pair_id"], _spelt(tokenizer, row["input_ids"], row["labels"])) for row in shown
    ]


def _spelt(
    tokenizer: Any, ids: Sequence[int], labels: Sequence[int]
) -> tuple[tuple[str, bool], ...]:
    """Return the text that each token adds; the bytes of one character stay together."""
    tokens: list[tuple[str, bool]] = []
    written = ""
    for end, label in enumerate(labels, start=1):
        whole = tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False)
        if whole.endswith("\N{REPLACEMENT CHARACTER}") and end < len(ids):
            continue
        tokens.append((whole[len(written) :], label != IGNORED))
        written = whole
    return tuple(tokens)

"""Tokenized rows of a training run, with their loss mask proven."""

from dataclasses import dataclass
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError
from pipeline.core.outcome import Drop, drops
from pipeline.text.chat import IGNORED, Rejected, encode, prove_mask, template_digest
from schemas.drops import Drops
from schemas.pairs import Examples

COLUMNS = ("pair_id", "input_ids", "labels")


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenized rows by split, in order of pair_id, with the ledger of what was dropped."""

    train: Any
    """``datasets.Dataset`` with pair_id, input_ids and labels, in memory."""
    validation: Any
    dropped: DataFrame[Drops]
    template_digest: str
    """Of the chat template that rendered the rows."""

    @property
    def supervised_tokens(self) -> int:
        """Trained tokens of the train split."""
        return sum(supervised(labels) for labels in self.train["labels"])


def tokenize(examples: DataFrame[Examples], tokenizer: Any, max_tokens: int) -> Rows:
    """Tokenize train and validation rows and prove their loss mask.

    Returns:
        The rows, and the ledger of those that cannot be trained on: ``response_too_long`` and
        the other reasons of :data:`pipeline.text.chat.EXPLANATIONS`.

    Raises:
        TrainingError: no train row is left, or a proof failed.
    """
    from datasets import Dataset

    kept: dict[str, list[dict[str, Any]]] = {"train": [], "validation": []}
    proven, ledger = [], []
    for row in examples.sort("pair_id").iter_rows(named=True):
        if row["split"] not in kept:
            continue
        encoded = encode(tokenizer, row["messages"], max_tokens)
        if isinstance(encoded, Rejected):
            text = row["messages"][-1]["content"] if row["messages"] else ""
            drop = Drop(row["pair_id"], encoded.reason, text, encoded.value, encoded.threshold)
            ledger.append(drop)
        else:
            kept[row["split"]].append(
                {
                    "pair_id": row["pair_id"],
                    "input_ids": encoded.input_ids,
                    "labels": encoded.labels,
                }
            )
            proven.append(row["messages"])
    dropped = drops(ledger)
    if not kept["train"]:
        reasons = ", ".join(sorted(set(dropped["reason"]))) or "none came in"
        raise TrainingError(
            f"train: no row can be trained on ({reasons}); expected at least one; raise "
            "train.max_tokens, choose a base model with a usable chat template, or add pairs"
        )
    prove_mask(tokenizer, proven)
    train, validation = (
        Dataset.from_dict({name: [row[name] for row in kept[split]] for name in COLUMNS})
        for split in ("train", "validation")
    )
    return Rows(train, validation, dropped, template_digest(tokenizer))


def lengths(rows: Any) -> list[int]:
    """Return the tokens of each row."""
    return [len(ids) for ids in rows["input_ids"]]


def supervised(labels: list[int]) -> int:
    """Return the trained tokens of a row."""
    return len(labels) - labels.count(IGNORED)

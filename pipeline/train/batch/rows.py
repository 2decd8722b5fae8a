"""Tokenized rows of a training run, and the proof of a loss mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError
from pipeline.core.outcome import Drop, drops
from pipeline.text.chat import EXPLANATIONS, IGNORED, Rejected, encode
from pipeline.text.chat_template import Message, stop_ids, template_digest
from schemas.base import Drops
from schemas.pairs import Examples

COLUMNS = ("pair_id", "input_ids", "labels")


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenized rows by split, in order of pair_id, with the ledger of what was dropped."""

    train: Any  # `datasets.Dataset` with pair_id, input_ids and labels, in memory
    validation: Any
    dropped: DataFrame[Drops]
    template_digest: str  # of the chat template that rendered the rows


def tokenize(examples: DataFrame[Examples], tokenizer: Any, max_tokens: int) -> Rows:
    """Tokenize train and validation rows; raises TrainingError where no train row is left."""
    from datasets import Dataset

    kept: dict[str, dict[str, list[Any]]] = {
        split: {name: [] for name in COLUMNS} for split in ("train", "validation")
    }
    ledger = []
    for row in examples.sort("pair_id").iter_rows(named=True):
        if row["split"] not in kept:
            continue
        encoded = encode(tokenizer, row["messages"], max_tokens)
        if isinstance(encoded, Rejected):
            text = row["messages"][-1]["content"] if row["messages"] else ""
            drop = Drop(row["pair_id"], encoded.reason, text, encoded.value, encoded.threshold)
            ledger.append(drop)
        else:
            values = (row["pair_id"], encoded.input_ids, encoded.labels)
            for name, value in zip(COLUMNS, values, strict=True):
                kept[row["split"]][name].append(value)
    dropped = drops(ledger)
    if not kept["train"]["pair_id"]:
        reasons = ", ".join(sorted(set(dropped["reason"]))) or "none came in"
        raise TrainingError(
            f"train: no row can be trained on ({reasons}); expected at least one; raise "
            "train.max_tokens, choose a base model with a usable chat template, or add pairs"
        )
    train, validation = map(Dataset.from_dict, kept.values())
    return Rows(train, validation, dropped, template_digest(tokenizer))


def lengths(rows: Any) -> list[int]:
    """Return the tokens of each row."""
    return [len(ids) for ids in rows["input_ids"]]


def supervised(labels: list[int]) -> int:
    """Return the trained tokens of a row."""
    return len(labels) - labels.count(IGNORED)


def prove_mask(tokenizer: Any, examples: Sequence[Sequence[Message]]) -> None:
    """Check on examples that the loss mask covers the response and its end, and no more.

    A TrainingError names a reason of :data:`pipeline.text.chat.EXPLANATIONS`, or what is wrong with
    the labels.
    """
    for number, messages in enumerate(examples):
        encoded = encode(tokenizer, messages, max_tokens=10**9)
        if isinstance(encoded, Rejected):
            found = EXPLANATIONS[encoded.reason] + f": {encoded.found}" * bool(encoded.found)
            _refuse(number, encoded.reason, found)
        prove_labels(tokenizer, number, encoded.labels)


def prove_labels(tokenizer: Any, number: int, labels: Sequence[int]) -> None:
    """Check the labels of an example: some are trained, not all, and at last a stop token.

    A TrainingError names what is wrong: no tokens supervised, all tokens supervised, end of turn
    not trained.
    """
    trained, stops = [label for label in labels if label != IGNORED], stop_ids(tokenizer)
    if not trained:
        _refuse(number, "no_tokens_supervised", f"none of {len(labels)} tokens is trained")
    if len(trained) == len(labels):
        _refuse(number, "all_tokens_supervised", "the prompt would be trained too")
    if trained[-1] not in stops:
        _refuse(
            number,
            "end_of_turn_not_trained",
            f"the response ends with {tokenizer.decode(trained[-1:])!r}, and the model stops "
            f"at {tokenizer.decode(sorted(stops))!r}",
        )


def _refuse(number: int, name: str, found: str) -> NoReturn:
    advice = {
        "end_of_turn_not_trained": "name its end of turn in eos_token_id of the base model's "
        "generation_config.json, or mend its chat template",
        "segments_differ": "choose another base model: template and tokenizer do not fit",
    }.get(name, "mend the chat template of the base model, or the example")
    raise TrainingError(
        f"loss mask: {name.replace('_', ' ')} in example {number} ({found}); expected the response "
        f"and its end-of-turn token to be trained and nothing else; {advice}"
    )

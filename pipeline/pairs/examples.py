"""Turn settled pairs into chat messages."""

from dataclasses import replace
from operator import itemgetter
from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.cache import short_id
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.settings import TaskSettings
from schemas.pairs import Examples, SettledPairs


def to_examples(pairs: DataFrame[SettledPairs], settings: TaskSettings) -> Outcome[Examples]:
    """Write each pair as a user message (:func:`user_message`) and the assistant's answer.

    Before them stand the system prompt, the row's own before that of the settings, and earlier
    turns. Each earlier turn of the assistant is an example of its own too (``turns``), so that a
    row ends with the one answer learnt from it. Sorted by ``pair_id``; dropped: ``empty_message``.
    """
    kept, dropped = [], []
    system = settings.system_prompt
    first = [{"role": "system", "content": system}] if system else []
    for row in pairs.sort("pair_id").iter_rows(named=True):
        question, response = user_message(row["instruction"], row["input"]), row["response"].strip()
        if not row["instruction"].strip() or not response:
            dropped.append(Drop(row["pair_id"], "empty_message", question or response, 0.0, 1.0))
            continue
        head = [] if row["history"] and row["history"][0]["role"] == "system" else first
        messages = [
            *row["history"],
            {"role": "user", "content": question},
            {"role": "assistant", "content": response},
        ]
        columns = {name: row[name] for name in Examples.columns() if name != "messages"}
        kept.append(columns | {"messages": head + messages})
        for end, message in enumerate(row["history"], start=1):
            if message["role"] == "assistant" and settings.turns == "all":
                earlier = {"pair_id": short_id(row["pair_id"], str(end))}
                kept.append(columns | earlier | {"messages": head + messages[:end]})
    kept.sort(key=itemgetter("pair_id"))
    rows_in = len(kept) + len(dropped)
    metrics = {"earlier_turns": float(rows_in - pairs.height)}
    return Outcome(table(Examples, kept), drops(dropped), rows_in, metrics=metrics)


def user_message(instruction: str, input: str) -> str:
    """Return instruction and input, which may be empty, as training, evaluation, serving ask."""
    return "\n\n".join(part for part in (instruction.strip(), input.strip()) if part)


def trained_examples(pairs: DataFrame[SettledPairs], settings: TaskSettings) -> Outcome[Examples]:
    """Render all rows but those of test: an arm of an ablation shares the test set of all."""
    trained = cast("DataFrame[SettledPairs]", pairs.filter(pl.col("split") != "test"))
    return to_examples(trained, settings)


EXAMPLES = Stage(
    "examples",
    to_examples,
    Examples,
    {"pairs": SettledPairs},
    section="task",
    fields=("system_prompt", "turns"),
)
ARM_EXAMPLES = replace(EXAMPLES, function=trained_examples, dataset="ablation_examples")

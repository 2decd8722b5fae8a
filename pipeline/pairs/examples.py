"""Turn settled pairs into chat messages."""

from typing import cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from schemas.pairs import Examples, SettledPairs


def to_examples(pairs: DataFrame[SettledPairs]) -> Outcome[Examples]:
    """Write each pair as a user message and the assistant message that answers it.

    The user message is the instruction, and the input after a blank line when there is one: the
    same form in training, evaluation and serving.

    Args:
        pairs: gold and settled pairs of all splits.

    Returns:
        Examples sorted by ``pair_id``; a pair without instruction or response is dropped as
        ``empty_message``.
    """
    kept = []
    dropped = []
    for row in pairs.sort("pair_id").iter_rows(named=True):
        question, response = user_message(row["instruction"], row["input"]), row["response"].strip()
        if not row["instruction"].strip() or not response:
            dropped.append(Drop(row["pair_id"], "empty_message", question or response, 0.0, 1.0))
            continue
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": response},
        ]
        kept.append(
            {name: row[name] for name in Examples.columns() if name != "messages"}
            | {"messages": messages}
        )
    return Outcome(kept=table(Examples, kept), dropped=drops(dropped), rows_in=pairs.height)


def user_message(instruction: str, input: str) -> str:
    """Return the user message of an instruction and its input, which may be empty."""
    return "\n\n".join(part for part in (instruction.strip(), input.strip()) if part)


def trained_examples(pairs: DataFrame[SettledPairs]) -> Outcome[Examples]:
    """Render all rows but those of test: an arm of an ablation shares the test set of all."""
    return to_examples(cast("DataFrame[SettledPairs]", pairs.filter(pl.col("split") != "test")))


EXAMPLES = Stage("examples", to_examples, Examples, {"pairs": SettledPairs})
ARM_EXAMPLES = Stage(
    "examples", trained_examples, Examples, {"pairs": SettledPairs}, dataset="ablation_examples"
)

"""Loss of each held-out response, and how fast a model writes."""

import time
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.evaluate.answers.answers import response_losses
from pipeline.evaluate.scoring import evaluating, greedy, prefill
from pipeline.settings import EvaluateSettings
from pipeline.text.chat import Encoded, Message, encode, prompt_ids
from schemas.evaluation import HeldOutLosses
from schemas.pairs import Examples

WRITTEN = 48
"""Tokens that a timing writes."""
TIMINGS = 3
"""The fastest counts: a disturbance only ever slows."""


def held_out_losses(
    examples: DataFrame[Examples], model: Any, tokenizer: Any, settings: EvaluateSettings
) -> Outcome[HeldOutLosses]:
    """Measure the loss of each validation and test response.

    Returns:
        The losses by pair_id; a row that does not fit into ``max_tokens`` is dropped as
        ``too_long``, like one that the template cannot render.
    """
    losses = response_losses(examples, model, tokenizer, settings)
    rows, dropped = [], []
    for row in examples.sort("pair_id").iter_rows(named=True):
        if row["pair_id"] not in losses:
            text = row["messages"][-1]["content"]
            dropped.append(Drop(row["pair_id"], "too_long", text, None, settings.max_tokens))
            continue
        encoded = encode(tokenizer, row["messages"], settings.max_tokens)
        assert isinstance(encoded, Encoded)  # a rejected row has no loss
        rows.append(
            {
                "pair_id": row["pair_id"],
                "split": row["split"],
                "cluster_id": row["cluster_id"],
                "tokens": encoded.supervised,
                "loss": losses[row["pair_id"]],
            }
        )
    return Outcome(table(HeldOutLosses, rows), drops(dropped), rows_in=examples.height)


def decoding_speed(model: Any, tokenizer: Any, question: str) -> float:
    """Return the tokens a second of greedy decoding, one answer at a time (batch 1)."""
    prompt = prompt_ids(tokenizer, [cast("Message", {"role": "user", "content": question})])
    rates = []
    with evaluating(model):
        for _ in range(TIMINGS):
            prefix = prefill(model, [prompt])
            began = time.perf_counter()
            written = greedy(model, prefix, {-1}, WRITTEN)  # no token ends it early
            rates.append(len(written[0]) / (time.perf_counter() - began))
    return max(rates)

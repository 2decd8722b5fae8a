"""Which adaptation to use: the prompt, retrieval, fine-tuning, or both, and what each costs."""

from collections.abc import Mapping
from math import isfinite

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import AdaptationChoice, Advice, Cost, Evaluation
from schemas.evaluation import AnswerTimings

ARMS: dict[str, tuple[AdaptationChoice, str]] = {
    "base": ("prompt", "the plain base model"),
    "few_shot": ("prompt", "the base model with examples in the prompt"),
    "chain_of_thought": ("prompt", "the base model that thinks first"),
    "retrieval": ("retrieval", "the base model with retrieval"),
    "champion": ("fine-tune", "the champion"),
    "challenger": ("fine-tune", "the challenger"),
    "challenger_retrieval": ("both", "the challenger with retrieval"),
    "larger": ("larger model", "the larger model"),
}
"""What an arm stands for, and how it is called."""

WORDS: dict[AdaptationChoice, str] = {
    "prompt": "the prompt",
    "retrieval": "retrieval",
    "fine-tune": "fine-tuning",
    "both": "fine-tuning and retrieval",
    "larger model": "a larger model",
}


def cost(
    timings: DataFrame[AnswerTimings], prompt_price: float = 0.0, completion_price: float = 0.0
) -> Cost:
    """Return what a request of an arm costs; prices of a million tokens, without both no price."""
    rows = pl.col("rows")
    means = timings.select(
        pl.col("prompt_tokens", "completion_tokens", "seconds").sum() / rows.sum(),
        first_token_seconds=(pl.col("first_token_seconds") * rows).sum() / rows.sum(),
        answer_seconds=(pl.col("seconds") * rows).sum() / rows.sum(),
    ).row(0, named=True)
    prompt, completion = means["prompt_tokens"], means["completion_tokens"]
    price = (prompt * prompt_price + completion * completion_price) / 1e6
    return Cost(
        **means,
        tokens_per_second=completion / means["seconds"] if means["seconds"] else 0.0,
        price=price if prompt_price or completion_price else None,
    )


def advise(evaluation: Evaluation, costs: Mapping[str, Cost]) -> Advice:
    """Choose of the arms that the best one does not beat by its whole interval the cheapest.

    By tokens a request, prompt and completion: a cost that is everywhere alike.
    """
    best = evaluation.best
    if not best:
        return Advice("none", "", "nothing was measured, so nothing is advised")
    # Rounded, so that equal sums tie, whatever the parts that they are of.
    tokens = {
        name: round(cost.prompt_tokens + cost.completion_tokens, 6) for name, cost in costs.items()
    }
    right = {name: scores["correct"].value for name, scores in evaluation.arms.items()}
    level = [arm for arm, gain in evaluation.best_minus.items() if gain.low <= 0]
    arm = min([best, *level], key=lambda name: (tokens[name], name != best))
    choice, called = ARMS[arm]
    text = f"use {WORDS[choice]}: {called} is {right[arm]:.0%} correct"
    if arm != best:
        text += (
            f", which these rows cannot tell from the {right[best]:.0%} of {ARMS[best][1]}, at "
            f"{tokens[arm]:.0f} tokens a request instead of {tokens[best]:.0f}"
        )
    elif rest := [name for name in evaluation.best_minus if ARMS[name][0] != choice]:
        next_best = max(rest, key=lambda name: right[name])
        gain = evaluation.best_minus[next_best]
        text += f", {gain.value:.0%} more than {ARMS[next_best][1]}"
        if isfinite(gain.low):
            text += f" [{gain.low:.0%}, {gain.high:.0%}]"
    return Advice(choice, arm, text)

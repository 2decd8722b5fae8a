"""Which adaptation to use: the prompt, retrieval, fine-tuning, or both, and what each costs."""

from collections.abc import Mapping
from math import isfinite

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import AdaptationChoice, Advice, Cost, Evaluation
from schemas.evaluation import Answers, AnswerTimings

CHOICES: dict[str, AdaptationChoice] = {
    "base": "prompt",
    "few_shot": "prompt",
    "chain_of_thought": "prompt",
    "retrieval": "retrieval",
    "champion": "fine-tune",
    "challenger": "fine-tune",
    "challenger_retrieval": "both",
    "larger": "larger model",
}
"""What an arm stands for."""

WORDS: dict[AdaptationChoice, str] = {
    "prompt": "the prompt",
    "retrieval": "retrieval",
    "fine-tune": "fine-tuning",
    "both": "fine-tuning and retrieval",
    "larger model": "a larger model",
}

NAMES = {
    "base": "the plain base model",
    "few_shot": "the base model with examples in the prompt",
    "chain_of_thought": "the base model that thinks first",
    "retrieval": "the base model with retrieval",
    "champion": "the champion",
    "challenger": "the challenger",
    "challenger_retrieval": "the challenger with retrieval",
    "larger": "the larger model",
}


def cost(
    timings: DataFrame[AnswerTimings], prompt_price: float = 0.0, completion_price: float = 0.0
) -> Cost:
    """Return what a request of an arm costs.

    Args:
        timings: of all batches of the arm, one row or more.
        prompt_price: of a million prompt tokens; 0 for both prices gives no price.
        completion_price: of a million tokens written.
    """
    rows = float(timings["rows"].sum())
    prompt = float(timings["prompt_tokens"].sum()) / rows
    completion = float(timings["completion_tokens"].sum()) / rows
    waited = timings.select(
        (pl.col("first_token_seconds", "seconds") * pl.col("rows")).sum() / rows
    ).row(0)
    priced = prompt * prompt_price + completion * completion_price
    seconds = float(timings["seconds"].sum()) / rows
    return Cost(
        prompt_tokens=prompt,
        completion_tokens=completion,
        seconds=seconds,
        tokens_per_second=completion / seconds if seconds else 0.0,
        first_token_seconds=float(waited[0]),
        answer_seconds=float(waited[1]),
        price=priced / 1e6 if prompt_price or completion_price else None,
    )


def tokens_by_arm(answers: DataFrame[Answers]) -> dict[str, float]:
    """Return tokens a request, prompt and completion, by arm: the cost that is everywhere alike."""
    means = answers.group_by("arm").agg(
        (pl.col("prompt_tokens") + pl.col("completion_tokens")).mean()
    )
    return {str(arm): float(tokens) for arm, tokens in means.sort("arm").iter_rows()}


def advise(evaluation: Evaluation, tokens: Mapping[str, float]) -> Advice:
    """Choose the cheapest of the arms that nothing measured beats.

    An arm stays in the choice while the interval of the best arm's gain over it includes no
    difference; among those the one of fewest tokens a request wins.
    """
    best = evaluation.best
    if not best:
        return Advice("none", "", "nothing was measured, so nothing is advised")
    right = {name: scores["correct"].value for name, scores in evaluation.arms.items()}
    level = [arm for arm, gain in evaluation.best_minus.items() if gain.low <= 0]
    arm = min([best, *level], key=lambda name: (tokens[name], name != best))
    choice = CHOICES[arm]
    text = f"use {WORDS[choice]}: {NAMES[arm]} is {right[arm]:.0%} correct"
    if arm != best:
        text += (
            f", which these rows cannot tell from the {right[best]:.0%} of {NAMES[best]}, at "
            f"{tokens[arm]:.0f} tokens a request instead of {tokens[best]:.0f}"
        )
    else:
        rest = [name for name in evaluation.best_minus if CHOICES[name] != choice]
        if rest:
            next_best = max(rest, key=lambda name: right[name])
            gain = evaluation.best_minus[next_best]
            text += f", {gain.value:.0%} more than {NAMES[next_best]}"
            if isfinite(gain.low):
                text += f" [{gain.low:.0%}, {gain.high:.0%}]"
    return Advice(choice, arm, text)

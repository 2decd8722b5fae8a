"""What a test set can show, said before the training: the minimum detectable effect, foreseen.

The variance of challenger minus base is not known before there is a challenger. Few-shot minus
base is the nearest thing that is: another change of the same model on the same rows.
"""

from math import sqrt

from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import Foresight
from pipeline.evaluate.statistics.intervals import minimum_detectable_effect
from schemas.evaluation import Answers

CORRELATION = 0.5
"""Of two models' correctness on the same rows, an assumption for where no second arm was run: rows
that are hard for one are hard for the other. The less they correlate, the larger the effect."""


def foresee(
    base: DataFrame[Answers],
    few_shot: DataFrame[Answers] | None,
    confidence: float,
    unit: str = "documents",
) -> Foresight:
    """Foresee the minimum detectable effect of a comparison with the base model.

    Args:
        base: the base model's answers.
        few_shot: its answers with examples in the prompt, to the same rows; None assumes a
            correlation of :data:`CORRELATION` between the correctness of two models instead,
            under which their difference has ``sqrt(2 (1 - r))`` of the spread of one.
        confidence: at which the gate decides.
        unit: what the clusters are, in the plural.
    """
    rows = base.sort("pair_id")
    clusters = rows["cluster_id"].to_list()
    if few_shot is not None:
        spread = few_shot.sort("pair_id")["correct"] - rows["correct"]
        scale, basis = 1.0, "by the spread of few-shot minus base"
    else:
        spread, scale = rows["correct"], sqrt(2 * (1 - CORRELATION))
        basis = f"by the spread of the base model, two models correlating at {CORRELATION}"
    effect = None
    if len(set(clusters)) > 1:
        effect = scale * minimum_detectable_effect(
            spread.to_numpy(), clusters, confidence=confidence
        )
    return Foresight(effect, rows.height, len(set(clusters)), basis, unit)

"""What a test set can show, said before the training: the minimum detectable effect, foreseen.

Few-shot minus base stands in for challenger minus base: another change of the same model.
"""

from math import sqrt

from pandera.typing.polars import DataFrame

from pipeline.evaluate.results import Foresight
from pipeline.evaluate.statistics.intervals import minimum_detectable_effect
from schemas.evaluation import Answers

CORRELATION = 0.5
"""Of two models' correctness, an assumption: rows hard for one are hard for the other."""


def foresee(
    base: DataFrame[Answers],
    few_shot: DataFrame[Answers] | None,
    confidence: float,
    unit: str = "documents",
) -> Foresight:
    """Foresee the minimum detectable effect of a comparison with the base model.

    Without few-shot answers two models' correctness is taken to correlate by :data:`CORRELATION`:
    their difference then has ``sqrt(2 (1 - r))`` of the spread of one.
    """
    rows = base.sort("pair_id")
    clusters = rows["cluster_id"].to_list()
    if few_shot is not None:
        spread = few_shot.sort("pair_id")["correct"] - rows["correct"]
        scale, basis = 1.0, "by the spread of few-shot minus base"
    else:
        spread, scale = rows["correct"], sqrt(2 * (1 - CORRELATION))
        basis = f"by the spread of the base model, two models correlating at {CORRELATION}"
    count, effect = len(set(clusters)), None
    if count > 1:
        least = minimum_detectable_effect(spread.to_numpy(), clusters, confidence=confidence)
        effect = scale * least
    return Foresight(effect, rows.height, count, basis, unit)

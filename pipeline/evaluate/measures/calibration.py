"""Does the judge agree with people? Only then its word counts in the gate.

People's decisions on pairs are preferences: an edited response is better than the one it
replaced, an accepted pair better than a rejected one. Which of the two is put first is decided
by a hash, so that a judge which always says the same agrees by chance alone, and kappa shows it.
"""

from collections.abc import Sequence

from pipeline.core.cache import short_id
from pipeline.evaluate.measures.llm_judge import Answer, Comparison, Judgement, Winner
from pipeline.evaluate.results import Calibration

LABELS: tuple[Winner, ...] = ("first", "second", "tie")


def preferences(
    edited: Sequence[tuple[Answer, Answer]],
    accepted: Sequence[Answer],
    rejected: Sequence[Answer],
    most: int,
) -> list[tuple[Comparison, Winner]]:
    """Make comparisons of people's decisions, with the winner that people chose.

    Args:
        edited: (the response as a person wrote it, the response before) to one question.
        accepted: pairs that were accepted as they are.
        rejected: pairs that were rejected; each is compared with an accepted one.
        most: comparisons to return at most, chosen by a hash.
    """
    accepted = sorted(accepted, key=_key)
    rejected = sorted(rejected, key=_key)
    pairs = [*edited, *zip(accepted, rejected, strict=False)]
    found = []
    for better, worse in pairs:
        mark = short_id("judge", better.question, better.text, worse.question, worse.text)
        first = int(mark, 16) % 2 == 0
        order = (better, worse) if first else (worse, better)
        winner: Winner = "first" if first else "second"
        found.append((Comparison(mark, *order, cluster=mark), winner))
    return sorted(found, key=lambda item: item[0].id)[:most]


def calibrate(
    people: Sequence[Winner], judgements: Sequence[Judgement], least: int, min_kappa: float
) -> Calibration:
    """Compare the judge with people."""
    from sklearn.metrics import cohen_kappa_score

    count = len(people)
    if count < least:
        text = f"not calibrated: {count} decisions of people, needed {least}; shown, does not gate"
        return Calibration(count, 0.0, 0.0, False, text)
    winners = [judgement.winner for judgement in judgements]
    agreement = sum(one == other for one, other in zip(people, winners, strict=True)) / count
    kappa = float(cohen_kappa_score(list(people), winners, labels=list(LABELS)))
    calibrated = kappa >= min_kappa
    text = f"calibrated: kappa {kappa:.2f} on {count} decisions of people, needed {min_kappa:g}"
    text = text if calibrated else f"not {text}; shown, does not gate"
    return Calibration(count, agreement, kappa, calibrated, text)


def _key(answer: Answer) -> str:
    return short_id("order", answer.question, answer.text)

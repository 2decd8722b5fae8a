"""Whether a batch of pairs may be used, judged on the reviewed part of its random sample.

Wald's sequential probability ratio test (Wald 1945, Sequential Tests of Statistical
Hypotheses), truncated with the exact binomial.
"""

from collections.abc import Sequence
from math import log
from typing import Literal

ALPHA = 0.05
"""Risk of returning a batch whose error is ``good_error``."""
BETA = 0.10
"""Risk of accepting a batch whose error is ``max_error``."""
TRUNCATED_AT = 150
"""Reviews after which the exact binomial decides; with 2 % against 8 % the test stops before
105 reviews in 9 of 10 good batches."""

Decision = Literal["accepted", "returned", "undecided"]


def judge_batch(defects: Sequence[bool], good_error: float, max_error: float) -> Decision:
    """Accept or return a batch by the sequential probability ratio test on its sample.

    The batch is returned once the ratio passes the upper limit, even when it passed the lower
    one before: people who reviewed on have seen more, and by Wald's inequality a good batch
    still meets that fate with a chance of ALPHA / (1 - BETA) = 5.6 % at most. After
    TRUNCATED_AT decisions the batch is accepted if so few defects have a chance of BETA or less
    at ``max_error``.

    Args:
        defects: whether each reviewed pair was rejected, in the order of the sample.
        good_error: share of defects of a good batch (p0).
        max_error: share of defects at which a batch is bad (p1).
    """
    returned_at, accepted_at = log((1 - BETA) / ALPHA), log(BETA / (1 - ALPHA))
    defect, clean = log(max_error / good_error), log((1 - max_error) / (1 - good_error))
    ratio, accepted = 0.0, False
    for bad in defects[:TRUNCATED_AT]:
        ratio += defect if bad else clean
        if ratio >= returned_at:
            return "returned"
        accepted = accepted or ratio <= accepted_at
    if accepted:
        return "accepted"
    if len(defects) < TRUNCATED_AT:
        return "undecided"
    from scipy.special import bdtr

    found = sum(defects[:TRUNCATED_AT])
    return "accepted" if bdtr(found, TRUNCATED_AT, max_error) <= BETA else "returned"


def error_bound(defects: int, reviewed: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of the error share (Clopper and Pearson 1934).

    59 clean pairs bound it below 5 %; without a review it is 1.
    """
    if defects >= reviewed:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(defects + 1, reviewed - defects, confidence))

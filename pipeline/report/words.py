"""How numbers, names and intervals read, the same in the terminal and on the page."""

from datetime import UTC
from math import isfinite

from pipeline.core.journal import read_time
from pipeline.evaluate.measures.metrics import METRICS as METRICS
from pipeline.evaluate.measures.metrics import Metric
from pipeline.evaluate.results import Interval

MINUS = "\N{MINUS SIGN}"

ARMS = {  # those that are not called by their names
    "few_shot": "few-shot",
    "challenger_retrieval": "challenger + retrieval",
    "larger": "larger model",
}


def metric(name: str) -> Metric:
    """Return how a metric reads; an unknown one keeps its name."""
    return METRICS.get(name, Metric(name, plain(name), "higher is better"))


def arm(name: str) -> str:
    """Return how an arm reads."""
    return ARMS.get(name, plain(name))


def plain(name: str) -> str:
    """Return a name of the code as words: ``near_duplicate`` is ``near duplicate``."""
    return name.replace("_", " ")


def count(number: int) -> str:
    """Return a whole number with separators: ``12,345``."""
    return f"{number:,}"


def decimal(number: float | None, digits: int = 3, signed: bool = False) -> str:
    """Return a number with a true minus sign; an en dash for None."""
    if number is None:
        return "\N{EN DASH}"
    rounded = round(number, digits) + 0.0  # no minus before zero
    text = f"{abs(rounded):.{digits}f}"
    if rounded < 0:
        return MINUS + text
    return f"+{text}" if signed and rounded > 0 else text


def compact(number: float | None, digits: int = 4) -> str:
    """Return a measured value or threshold in as few digits as tell it; an en dash for none."""
    if number is None or not isfinite(number):
        return "\N{EN DASH}"
    return f"{number:.{digits}g}".replace("-", MINUS)


def tick(number: float) -> str:
    """Return the number at a tick of an axis."""
    return f"{number:,.6g}".replace("-", MINUS)


def between(interval: Interval, digits: int = 3, signed: bool = False) -> str:
    """Return the ends of an interval: ``0.40 to 0.62``; an open end is said."""
    low, high = interval.low, interval.high
    if not (isfinite(low) or isfinite(high)):
        return "no interval"
    first = decimal(low, digits, signed) if isfinite(low) else "below"
    last = decimal(high, digits, signed) if isfinite(high) else "above"
    return f"{first} to {last}"


def duration(seconds: float) -> str:
    """Return a time: ``1.4 s``, ``3 min 12 s``, ``2 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(time: str) -> str:
    """Return an ISO 8601 time to the minute: ``2026-01-31 12:00 UTC``; others as they are."""
    read = read_time(time)
    return f"{read.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if read else time


def size(number: float) -> str:
    """Return bytes in decimal units: ``2.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def share(part: float, whole: float) -> str:
    """Return a share: ``33 %``, with a decimal below 10 %; empty without a whole."""
    if not whole:
        return ""
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"

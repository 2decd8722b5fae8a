"""Coverage of a corpus by its pairs, as the report tells it."""

from pipeline.core.record import Record


class KindYield(Record):
    """What came of the candidates of one kind of task."""

    kind: str
    about: str
    candidates: int
    pairs: int
    passed: int
    """Pairs that passed the screens."""


class Coverage(Record):
    """Which of the corpus has pairs."""

    documents: int
    documents_with_pairs: int
    sections: int
    sections_with_pairs: int
    why_none: dict[str, int]
    """Sections without a pair, by their most frequent reason."""
    without: tuple[str, ...] = ()
    """First documents without a pair, by source."""
    kinds: tuple[KindYield, ...] = ()
    judge: str = ""
    """What a judge of claims said of the pairs, and whether it counts; empty without one."""
    distinct_2: float | None = None
    """Different pairs of neighbouring words in self-instruct tasks, of all of them."""
    nearest: float | None = None
    """Mean ROUGE-L F1 of a self-instruct task with the most alike other one."""

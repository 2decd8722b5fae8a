"""What a report tells of boilerplate: paragraphs that many documents have."""

from pipeline.report.parts import Part


class RepeatedParagraph(Part):
    """A paragraph that many documents have."""

    text: str
    """How it begins."""
    words: int
    documents: int
    occurrences: int
    sources: tuple[str, ...]
    """Of the first documents that have it; one copy stays in the first when the others go."""


class Repeated(Part):
    """Boilerplate: what many documents have in common."""

    paragraphs: int
    """Distinct ones."""
    spare_characters: int
    """Of all their occurrences but one of each."""
    removed: int | None = None
    """Occurrences that were taken out; None: they were reported only."""
    changed_documents: int = 0
    """Documents that lost some."""
    most: tuple[RepeatedParagraph, ...] = ()
    """Those of most documents."""

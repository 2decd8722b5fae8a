"""Identity of a pair, shared by whoever makes one."""

from pipeline.core.cache import short_id


def pair_id(instruction: str, input: str, response: str, doc_id: str, origin: str) -> str:
    """Return the content id of a pair: the same pair from the same document has the same id."""
    return short_id(instruction, input, response, doc_id, origin)

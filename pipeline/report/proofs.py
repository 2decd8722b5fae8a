"""The section of what was proven before training: one line a proof, and the mask in colour."""

from typing import NamedTuple

from pipeline.report import words
from pipeline.report.contents import Mask, Training

COUNTS = ("stop token", "gradients", "template", "leak", "rows without supervised tokens")
"""Proofs whose value and threshold are numbers of rows, tokens or tensors."""


class Line(NamedTuple):
    """One proof as the page shows it."""

    name: str
    text: str
    value: str
    threshold: str


class Row(NamedTuple):
    """One row: its tokens as (text, trained), and how many of them are trained."""

    tokens: tuple[tuple[str, bool], ...]
    trained: int
    pair_id: str


class View(NamedTuple):
    """What the section shows."""

    lines: tuple[Line, ...]
    rows: tuple[Row, ...]


def view(training: Training | None) -> View:
    """Return the section of a training; empty when nothing was proven."""
    if training is None:
        return View((), ())
    lines = tuple(
        Line(
            proof.name,
            proof.text,
            _number(proof.name, proof.value),
            _number(proof.name, proof.threshold),
        )
        for proof in training.proofs
    )
    return View(lines, tuple(_row(mask) for mask in training.masks))


def _row(mask: Mask) -> Row:
    return Row(mask.tokens, sum(trained for _, trained in mask.tokens), mask.pair_id)


def _number(name: str, value: float) -> str:
    return words.count(round(value)) if name in COUNTS else words.compact(value)

"""Thousands of real texts that lie in every installation: docstrings, and two other languages."""

import ast
import importlib.util
import random
import warnings
from functools import cache
from pathlib import Path

import polars as pl

from pipeline.drift.features import features

FORMATS = ("markdown", "html", "text", "pdf")
"""A quarter of the documents each."""

LENGTH = 1_500
"""Characters of a document at most."""


@cache
def docstrings(package: str) -> tuple[str, ...]:
    """Return the distinct docstrings of 200 characters or more, in a fixed random order."""
    spec = importlib.util.find_spec(package)
    root = Path(spec.origin).parent
    found = set()
    for path in root.rglob("*.py"):
        if any("test" in part for part in path.relative_to(root).parts):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes of old sources
            tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                found.add((ast.get_docstring(node) or "")[:LENGTH])
    texts = sorted(text for text in found if len(text) >= 200)
    random.Random(7).shuffle(texts)
    return tuple(texts)


_SPANISH = (
    ("La bomba", "El filtro", "La válvula", "El sensor", "La caldera", "El depósito"),
    ("se revisa", "se limpia", "se cambia", "se conecta", "se apaga", "se ajusta"),
    ("cada semana", "dos veces al año", "después de la tormenta", "antes del invierno"),
    ("porque el agua está sucia", "cuando hace mucho calor", "si la luz roja parpadea"),
)
_GERMAN = (
    ("Die Pumpe", "Der Filter", "Das Ventil", "Der Fühler", "Die Heizung", "Der Behälter"),
    ("wird geprüft", "wird gereinigt", "wird ersetzt", "wird angeschlossen", "wird abgeschaltet"),
    ("und jede Woche", "und zweimal im Jahr", "und nach dem Gewitter", "und vor dem Winter"),
    ("gründlich gespült", "von Hand nachgestellt", "auf Dichtheit untersucht"),
)


def foreign(count: int, seed: int) -> list[str]:
    """Return German and Spanish texts of ten sentences."""
    generator = random.Random(seed)
    return [
        " ".join(" ".join(generator.choice(part) for part in language) + "." for _ in range(10))
        for language in (generator.choice((_SPANISH, _GERMAN)) for _ in range(count))
    ]


def collapsed(count: int, seed: int) -> list[str]:
    """Return what a model writes that has fallen into one template."""
    generator = random.Random(seed)
    names = ("array", "matrix", "filter", "spline", "signal", "kernel")
    return [
        f"Sure! The {generator.choice(names)} function returns the {generator.choice(names)}. "
        "I hope this helps. Let me know if you have any other questions about it."
        for _ in range(count)
    ]


def measured(texts, prefix, categories=FORMATS, kind="document"):
    """Return the features of texts; categories go round by a fixed lot."""
    generator = random.Random(3)
    return features(
        pl.DataFrame(
            {
                "id": [f"{prefix}{number:05d}" for number in range(len(texts))],
                "kind": kind,
                "category": [generator.choice(categories) for _ in texts],
                "text": list(texts),
            },
            schema_overrides={"category": pl.String, "text": pl.String},
        ),
        lambda text: len(text.split()),
    )

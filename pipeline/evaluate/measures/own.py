"""Metrics of the user's own: functions of an answer, named by ``evaluate.metrics``."""

import importlib
import sys
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError
from pipeline.evaluate.measures.llm_judge import Asked

Score = Callable[[str, str, str, str], float]  # of answer, reference, question, passage


def load_metric(name: str) -> Score:
    """Import ``module:function`` from the working directory or what is installed, or InputError."""
    module, _, function = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (ImportError, SyntaxError, ValueError) as error:
        raise InputError(
            f"evaluate.metrics: {name}: {error}; expected module:function, such as "
            "my_metrics:score, in the folder where tuneloop runs; mend the module or the name"
        ) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(found):
        raise InputError(
            f"evaluate.metrics: {name}: no function {function!r} found in {module}; expected "
            "def score(answer, reference, question, passage) -> float; mend the name"
        )
    score: Score = found
    return score


def with_own_metrics(
    answers: pl.DataFrame, metrics: Mapping[str, Score], known: Mapping[str, Asked]
) -> pl.DataFrame:
    """Return answers with a column a metric; InputError where one fails or is not finite."""
    columns = []
    for name, score in metrics.items():
        values = []
        for pair, answer in answers.select("pair_id", "answer").iter_rows():
            asked = known[pair]
            try:
                value = float(score(answer, asked.reference, asked.question, asked.passage))
            except Exception as error:
                raise InputError(
                    f"evaluate.metrics: {name} failed on pair {pair}: {error!r}; expected a number "
                    "of any answer; mend the function"
                ) from error
            if not isfinite(value):
                raise InputError(
                    f"evaluate.metrics: {name} returned {value} for pair {pair}; expected a finite "
                    "number; mend the function"
                )
            values.append(value)
        columns.append(pl.Series(name, values, dtype=pl.Float64))
    return answers.with_columns(columns)

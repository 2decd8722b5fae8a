"""What a model forgot: loss and knowledge on general text, base against challenger.

The measure is PEFT's (method_comparison/MetaMathQA): the rise of the mean loss a token on general
text. Its levels for LoRA: below 0.05 nats good, 0.05 to 0.12 usual, above 0.20 too much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.evaluate.results import Forgetting, Interval
from pipeline.evaluate.statistics.intervals import interval, resampling
from pipeline.pairs.user_files import check_fields, read_jsonl
from pipeline.settings import EvaluateSettings
from schemas.evaluation import GeneralScores


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question; ``answer`` is the index of the right choice."""

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """Texts by id and questions, in file order."""

    texts: Mapping[str, str]
    questions: tuple[Question, ...]


def read_general_set(folder: Path) -> GeneralSet:
    """Read ``texts.jsonl`` {id, text} and ``questions.jsonl`` {id, question, choices, answer}.

    InputError: a file is missing or not JSON lines, a field is missing or of another kind, an id
    occurs twice, an answer is not the index of a choice, or there are no texts.
    """
    rows = _rows(folder / "texts.jsonl", {"id": str, "text": str})
    texts = {row["id"]: row["text"] for row in rows}
    if not texts:
        raise InputError(
            f"{folder / 'texts.jsonl'}: no texts found; expected at least one general text; "
            "add texts, or leave paths.general empty to switch the forgetting check off"
        )
    fields = {"id": str, "question": str, "choices": list, "answer": int}
    questions = []
    for row in _rows(folder / "questions.jsonl", fields):
        choices = tuple(str(choice) for choice in row["choices"])
        if not (len(choices) >= 2 and 0 <= row["answer"] < len(choices)):
            raise InputError(
                f"{folder / 'questions.jsonl'}, {row['id']}: {len(choices)} choices and answer "
                f"{row['answer']} found; expected two or more and the index of the right one "
                "from 0; mend that line"
            )
        questions.append(Question(row["id"], row["question"], choices, row["answer"]))
    return GeneralSet(texts, tuple(questions))


def compare(
    base: DataFrame[GeneralScores], challenger: DataFrame[GeneralScores], settings: EvaluateSettings
) -> Forgetting:
    """Compare two models on the same general set, or raise InputError; an item is a cluster."""
    first, second = base.sort("id"), challenger.sort("id")
    keys = ["id", "kind", "tokens"]
    if not first.select(keys).equals(second.select(keys)):
        raise InputError(
            f"forgetting: {first.height} items of the base model and {second.height} of the "
            "challenger found that are not the same; expected one general set and one tokenizer; "
            "measure both again"
        )
    texts, questions = first.filter(kind="text"), first.filter(kind="question")
    if not texts.height:
        raise InputError(
            "forgetting: no texts were measured; expected at least one; add texts to paths.general"
        )
    options, tokens = resampling(settings), texts["tokens"].to_numpy()

    def intervals(kind: str, column: str, weights: Any = None) -> list[Interval]:
        """Return those of base, challenger, and their difference."""
        rows = [frame.filter(kind=kind) for frame in (first, second)]
        before, after = (frame[column].to_numpy() for frame in rows)
        ids = rows[0]["id"].to_list()
        return [
            interval(values, ids, weights=weights, **options)
            for values in (before, after, after - before)
        ]

    return Forgetting(
        texts.height,
        questions.height,
        *intervals("text", "loss", tokens),
        *(intervals("question", "correct") if questions.height else ()),
    )


def _rows(path: Path, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    """Read rows of unique ids whose named fields have the given types; others are ignored."""
    rows, known = read_jsonl(path), set[str]()
    for number, row in enumerate(rows, start=1):
        check_fields(f"{path}, row {number}", row, fields)
        if row["id"] in known:
            raise InputError(
                f"{path}: id {row['id']!r} found twice; expected unique ids; rename one of them"
            )
        known.add(row["id"])
    return rows

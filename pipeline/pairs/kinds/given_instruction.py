"""Pairs with an instruction of the user and a chunk as input: data, a label, another style."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jsonschema import Draft202012Validator

from pipeline.core.cache import canonical_json
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.writing import NONE, Writing, asked_of
from pipeline.pairs.teachers.teacher import Reply
from pipeline.text.words import same_text, words

LABEL_TOKENS = 32


class _Read(NamedTuple):
    answer: str
    problem: str = ""
    """What is wrong with the answer, in words that the teacher is told."""


def read_json(text: str, brief: Brief, given: str) -> _Read:
    """Read a JSON value that follows the schema; it is written in one form for all pairs."""
    start = min((place for place in map(text.find, "[{") if place >= 0), default=0)
    end = max(text.rfind("]"), text.rfind("}")) + 1
    try:
        value = json.loads(text[start:end] or text)
    except (ValueError, RecursionError) as error:
        return _Read("", f"it is not JSON ({error})")
    wrong = next(iter(Draft202012Validator(brief.schema).iter_errors(value)), None)
    if wrong is not None:
        return _Read("", f"{wrong.json_path}: {wrong.message}")
    return _Read(json.dumps(value, ensure_ascii=False, indent=1))


def read_label(text: str, brief: Brief, given: str) -> _Read:
    """Read one of the labels, as the settings write it."""
    said = words(text)
    for label in brief.task.labels:
        if words(label) == said:
            return _Read(label)
    return _Read("", f"it is none of the labels {', '.join(brief.task.labels)}")


def read_text(text: str, brief: Brief, given: str) -> _Read:
    """Read a text that is not the one that was given."""
    same = same_text(text) == same_text(given)
    return _Read("", "it is the same text") if same or not text else _Read(text)


READ: Mapping[str, Callable[[str, Brief, str], _Read]] = {
    "extraction": read_json,
    "classification": read_label,
    "rewriting": read_text,
}


def given_instruction(kind: str, parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make one pair of each of some chunks: the user's instruction, the chunk, the answer.

    An answer that cannot be read is asked for once more, with what is wrong with it.

    Args:
        kind: of task, one of :data:`READ`.
        parts: chunks.
        writing: teacher, settings, brief.
    """
    harvest, brief, read = Harvest(asked=asked_of(parts)), writing.brief, READ[kind]
    instruction = getattr(brief.task, kind)
    values = {
        "instruction": instruction,
        "schema": canonical_json(dict(brief.schema)),
        "labels": " | ".join(brief.task.labels),
        "style": brief.style.replace("SAMPLE>>>", "SAMPLE>>"),
    }
    room = LABEL_TOKENS if kind == "classification" else writing.settings.max_answer_tokens
    asked = [brief.ask(kind, "answer", part.chunk, **values) for part in parts]
    schema = canonical_json(dict(brief.schema)) if kind == "extraction" else ""
    replies = writing.ask(asked, room, schema)
    found = [
        _answer(reply, read, brief, part) for part, (_, reply) in zip(parts, replies, strict=True)
    ]
    again = [place for place, answer in enumerate(found) if answer.problem]
    repaired = writing.ask(
        [
            (
                *asked[place],
                ("assistant", replies[place][1].texts[0]),
                ("user", f"That cannot be used: {found[place].problem}. Write it again, and "
                 "nothing else."),
            )
            for place in again
        ],
        room,
        schema,
    )  # fmt: skip
    for place, (request, reply) in zip(again, repaired, strict=True):
        replies[place] = request, reply
        found[place] = _answer(reply, read, brief, parts[place])
    for part, (request, reply), answer in zip(parts, replies, found, strict=True):
        harvest.raw.append(reply.shown)
        nothing = not reply.problem and bool(NONE.fullmatch(tidy(reply.texts[0])))
        reason = reply.problem or ("nothing_of_the_kind" if nothing else "unparsable")
        if answer.answer:
            harvest.pairs.append(
                writing.pair(kind, part.chunk, instruction, answer.answer, given=part.chunk.text)
            )
            continue
        if not nothing:
            writing.forget(request)
        excerpt = f"{answer.problem} | {reply.shown}"
        harvest.drops.append(writing.drop(kind, part.chunk, "", reason, excerpt))
    return harvest


def _answer(
    reply: Reply, read: Callable[[str, Brief, str], _Read], brief: Brief, part: Part
) -> _Read:
    """Read a reply; one that failed, or says that there is nothing, has no answer and no fault."""
    text = tidy(reply.texts[0])
    if reply.problem or NONE.fullmatch(text):
        return _Read("")
    return read(text, brief, part.chunk.text)

"""Pairs with an instruction of the user and a chunk as input: data, a label, another style."""

import json
from collections.abc import Callable, Mapping, Sequence

from jsonschema import Draft202012Validator

from pipeline.core.cache import canonical_json
from pipeline.pairs.answer_text import tidy
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.writing import NONE, USELESS, Writing
from pipeline.pairs.teachers.teacher import Messages
from pipeline.text.words import same_text, words

LABEL_TOKENS = 32


Read = tuple[str, str]
"""An answer, or '' and what is wrong with it, in words that the teacher is told."""


def read_json(text: str, brief: Brief, given: str) -> Read:
    """Read a JSON value that follows the schema; it is written in one form for all pairs."""
    start = min((place for place in map(text.find, "[{") if place >= 0), default=0)
    end = max(text.rfind("]"), text.rfind("}")) + 1
    try:
        value = json.loads(text[start:end] or text)
    except (ValueError, RecursionError) as error:
        return "", f"it is not JSON ({error})"
    wrong = next(iter(Draft202012Validator(brief.schema).iter_errors(value)), None)
    if wrong is not None:
        return "", f"{wrong.json_path}: {wrong.message}"
    return json.dumps(value, ensure_ascii=False, indent=1), ""


def read_label(text: str, brief: Brief, given: str) -> Read:
    """Read one of the labels, as the settings write it."""
    labels = brief.task.labels
    found = next((label for label in labels if words(label) == words(text)), "")
    return found, "" if found else f"it is none of the labels {', '.join(labels)}"


def read_text(text: str, brief: Brief, given: str) -> Read:
    """Read a text that is not the one that was given."""
    same = same_text(text) == same_text(given)
    return ("", "it is the same text") if same or not text else (text, "")


READ: Mapping[str, Callable[[str, Brief, str], Read]] = {
    "extraction": read_json,
    "classification": read_label,
    "rewriting": read_text,
}


def given_instruction(kind: str, parts: Sequence[Part], writing: Writing) -> Harvest:
    """Make one pair of each of some chunks: the user's instruction, the chunk, the answer.

    An answer that cannot be read is asked for once more, with what is wrong with it. ``kind`` is
    one of :data:`READ`.
    """
    harvest, brief = Harvest(), writing.brief
    instruction, schema = getattr(brief.task, kind), canonical_json(dict(brief.schema))
    values = {
        "instruction": instruction,
        "schema": schema,
        "labels": " | ".join(brief.task.labels),
        "style": brief.style.replace("SAMPLE>>>", "SAMPLE>>"),
    }
    room = LABEL_TOKENS if kind == "classification" else writing.settings.max_answer_tokens
    schema = schema if kind == "extraction" else ""
    asked = [brief.ask(kind, "answer", part.chunk, **values) for part in parts]
    replies = writing.ask(asked, room, schema)

    def read(place: int) -> Read:
        text, reply = tidy(replies[place][1].texts[0]), replies[place][1]
        if reply.problem or NONE.fullmatch(text):
            return "", ""
        return READ[kind](text, brief, parts[place].chunk.text)

    found = [read(place) for place in range(len(parts))]
    again = [place for place, (_, problem) in enumerate(found) if problem]
    repairs: list[Messages] = []
    for place in again:
        told = f"That cannot be used: {found[place][1]}. Write it again, and nothing else."
        said = replies[place][1].texts[0]
        repairs.append((*asked[place], ("assistant", said), ("user", told)))
    for place, came in zip(again, writing.ask(repairs, room, schema), strict=True):
        replies[place] = came
        found[place] = read(place)
    for part, (request, reply), (answer, problem) in zip(parts, replies, found, strict=True):
        harvest.asked.add(part.chunk.chunk_id)
        harvest.raw.append(reply.shown)
        if answer:
            harvest.pairs.append(
                writing.pair(kind, part.chunk, instruction, answer, given=part.chunk.text)
            )
            continue
        reason = reply.problem or ("unparsable" if problem else "nothing_of_the_kind")
        if reason in USELESS:
            writing.forget(request)
        excerpt = f"{problem} | {reply.shown}"
        harvest.drops.append(writing.drop(kind, part.chunk, "", reason, excerpt))
    return harvest

"""Pairs with an instruction of the user and a chunk as input: data, a label, another style."""

import json
from collections.abc import Callable, Mapping, Sequence

from jsonschema import Draft202012Validator

from pipeline.core.cache import canonical_json
from pipeline.pairs.answer_text import json_in, tidy
from pipeline.pairs.chunk_order import Part
from pipeline.pairs.harvest import Harvest
from pipeline.pairs.kinds.brief import Brief
from pipeline.pairs.kinds.writing import NONE, Came, Writing
from pipeline.text.words import same_text, words

LABEL_TOKENS = 32
Read = tuple[str, str]  # an answer, or '' and what is wrong with it, as the teacher is told


def read_json(text: str, brief: Brief, given: str) -> Read:
    """Read a JSON value that follows the schema; it is written in one form for all pairs."""
    try:
        value = json.loads(json_in(text) or text)
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

    An answer that cannot be read is asked for once more, with what is wrong with it.
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
    asked = {at: brief.ask(kind, "answer", part.chunk, **values) for at, part in enumerate(parts)}
    found: dict[int, tuple[Came, str, str]] = {}
    for _ in range(2):
        replies, repairs = writing.ask(list(asked.values()), room, schema), {}
        for (place, messages), came in zip(asked.items(), replies, strict=True):
            text = tidy(came[1].texts[0])
            nothing = came[1].problem or NONE.fullmatch(text)
            read = ("", "") if nothing else READ[kind](text, brief, parts[place].chunk.text)
            found[place] = came, *read
            if problem := read[1]:
                told = f"That cannot be used: {problem}. Write it again, and nothing else."
                said = came[1].texts[0]
                repairs[place] = (*messages, ("assistant", said), ("user", told))
        asked = repairs
    for place, part in enumerate(parts):
        (came, answer, problem), chunk = found[place], part.chunk
        reply = came[1]
        harvest.asked.add(chunk.chunk_id)
        harvest.raw.append(reply.shown)
        if answer:
            pair = writing.pair(kind, chunk, instruction, answer, given=chunk.text)
            harvest.pairs.append(pair)
        else:
            reason = reply.problem or ("unparsable" if problem else "nothing_of_the_kind")
            harvest.drops.append(writing.lost(kind, chunk, "", reason, came, problem))
    return harvest

"""Rows that a team has already: chats and instructions in the forms of other tools, as pairs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.core.cache import canonical_json, short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.core.stage import Stage
from pipeline.documents.clean.clean_document import redact_all
from pipeline.pairs.gold import ANSWER, QUESTION, first_text
from pipeline.pairs.harvest import pair_row
from pipeline.pairs.user_files import TABLES, read_rows, stop_if_mostly_bad
from pipeline.settings import CleanSettings
from schemas.pairs import Pairs

Turn = dict[str, str]  # `role` and `content`
HUB = "hf://"  # begins the name of a data set on the Hugging Face Hub: `hf://owner/name#split`
ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bing": "assistant", "chatgpt": "assistant",
    "bard": "assistant", "model": "assistant", "bot": "assistant", "function_call": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool",
}  # fmt: skip
"""Roles of messages and of ShareGPT -> ours."""
EXPECTED = (
    "messages or conversations, instruction and output, prompt and completion, or question and "
    "answer"
)


def load_rows(source: Path | str, allow_download: bool) -> list[dict[str, Any]]:
    """Return the rows of a file, a folder, a saved data set or one of the Hub, maybe fetched."""
    if isinstance(source, str):
        return _from_hub(source, allow_download)
    if not source.is_dir():
        return read_rows(source, "paths.rows")
    if any((source / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        import datasets

        return list(_flat(datasets.load_from_disk(str(source))))
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in TABLES)
    if not files:
        raise InputError(
            f"paths.rows: {source} has no file with one of {' '.join(TABLES)}; expected some, or "
            "a data set that was saved with save_to_disk; correct the path"
        )
    return [row for path in files for row in read_rows(path, "paths.rows")]


def _from_hub(address: str, allow_download: bool) -> list[dict[str, Any]]:
    import datasets

    if not address.startswith(HUB):
        raise InputError(
            f"paths.rows: {address} found; expected a file, a folder, or hf://owner/name; mend it"
        )
    name, _, split = address.removeprefix(HUB).partition("#")
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or not allow_download
    try:
        return list(_flat(datasets.load_dataset(name, split=split or None)))
    except Exception as error:  # its own, those of the hub, of HTTP and of parsers
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        advice = "" if allow_download else " or set model.allow_download = true to fetch it"
        raise InputError(
            f"paths.rows: {address} cannot be loaded ({reason}); expected a data set of the "
            f"Hugging Face Hub; check the name{advice}"
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


def _flat(found: Any) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(found.values() if isinstance(found, dict) else [found])


def import_rows(
    rows: Sequence[Mapping[str, Any]], settings: CleanSettings, name: str
) -> Outcome[Pairs]:
    """Make pairs of rows in any of the common forms, without personal data.

    Alpaca (instruction, input, output, system, history), ShareGPT (conversations), messages with
    any number of turns, prompt and completion, question and answer. The last answer is the
    response, what was said before it the history, which a system prompt of the row begins. Tool
    calls and their results stay in the text, as Hermes and Qwen write them.

    Returns:
        Pairs of origin ``rows`` sorted by ``pair_id``, their source as ``generator``. Dropped:
        ``malformed_row`` (InputError: more than half) and ``duplicate_pair``. Metrics:
        ``turns_cut`` (of the user behind the last answer, of the assistant before a question).
    """
    kept: dict[str, dict[str, Any]] = {}
    dropped: list[Drop] = []
    bad: list[str] = []
    cut = 0
    for number, row in enumerate(rows, start=1):
        text = canonical_json({key: str(value) for key, value in row.items()})
        identity = short_id(str(number), text)
        try:
            turns, given, whole = read_turns(row)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            bad.append(f"row {number}: {error}: {text}")
            dropped.append(Drop(identity, "malformed_row", bad[-1]))
            continue
        cut += whole - len(turns)
        given, *said = redact_all([given, *(turn["content"] for turn in turns)], settings)
        turns = [turn | {"content": text} for turn, text in zip(turns, said, strict=True)]
        question, answer = said[-2:]
        pair = pair_row("rows", question, answer, given, history=turns[:-2], generator=name)
        if pair["pair_id"] in kept:
            dropped.append(Drop(identity, "duplicate_pair", text, related_id=pair["pair_id"]))
        kept.setdefault(pair["pair_id"], pair)
    stop_if_mostly_bad(name, bad, len(rows), EXPECTED)
    made = table(Pairs, (pair for _, pair in sorted(kept.items())))
    return Outcome(made, drops(dropped), len(rows), metrics={"turns_cut": float(cut)})


def read_turns(row: Mapping[str, Any]) -> tuple[list[Turn], str, int]:
    """Return turns, input and the count of turns before any was cut; ValueError: no pair in it."""
    row = {key.strip().casefold(): value for key, value in row.items()}
    turns, given = _messages(row), ""
    if turns is None:
        question, answer = (first_text(row, names) for names in (QUESTION, ANSWER))
        if not question or not answer:
            raise ValueError(f"no {'question' if not question else 'answer'} found")
        given = first_text(row, ("input",))
        turns = [*_history(row), _turn("user", question), _turn("assistant", answer)]
    system = first_text(row, ("system", "system_prompt"))
    if system and (not turns or turns[0]["role"] != "system"):
        turns = [_turn("system", system), *turns]
    head = [turn for turn in turns[:1] if turn["role"] == "system"]
    said = turns[len(head) :]
    while said and said[0]["role"] == "assistant":
        del said[0]
    while said and said[-1]["role"] != "assistant":
        del said[-1]
    if not said:
        raise ValueError("no answer behind a question found")
    for place, turn in enumerate(said):
        if turn["role"] != ("user", "assistant")[place % 2]:
            raise ValueError(f"two turns of {turn['role']} in a row found")
        if not turn["content"]:
            raise ValueError(f"an empty turn of {turn['role']} found")
    return [*head, *said], given, len(turns)


def _messages(row: Mapping[str, Any]) -> list[Turn] | None:
    """Return the turns of a row of messages; None for a row of another form."""
    found: list[Any] = []
    for name in ("messages", "conversations", "conversation", "prompt", "completion"):
        value = row.get(name)
        if isinstance(value, str) and name not in ("prompt", "completion"):
            try:
                value = json.loads(value)  # in a column of a CSV file
            except ValueError:
                continue
        found += value if isinstance(value, list) else []
    if not found:
        return None
    turns: list[Turn] = []
    for message in found:
        if not isinstance(message, dict):
            raise ValueError(f"a turn that is no object found ({message!r:.60})")
        role, content = _read(message)
        if role == "tool":  # as templates show it: a turn of the user
            role, content = "user", f"<tool_response>\n{content}\n</tool_response>"
            if turns and turns[-1]["role"] == "user" and "<tool_response>" in turns[-1]["content"]:
                turns[-1]["content"] += f"\n{content}"
                continue
        turns.append(_turn(role, content))
    return turns


def _read(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return our role of a message and its text, calls of tools in it."""
    named = str(message.get("role") or message.get("from") or "").strip().casefold()
    if named not in ROLES:
        raise ValueError(f"a turn of role {named!r} found")
    content = message.get("content", message.get("value"))
    if isinstance(content, list):  # parts, of which texts alone can be trained on
        content = "\n".join(part["text"] for part in content if part.get("type") == "text")
    if not isinstance(content, str | None):
        content = json.dumps(content, ensure_ascii=False)
    calls = []
    for call in message.get("tool_calls") or ():
        told = call.get("function", call)
        arguments = told.get("arguments")
        if isinstance(arguments, str):
            arguments = json.loads(arguments or "{}")
        calls.append({"name": told.get("name"), "arguments": arguments})
    if named == "function_call":
        calls.append(json.loads(content or "{}"))
        content = ""
    lines = [f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in calls]
    return ROLES[named], "\n".join([*filter(None, [(content or "").strip()]), *lines])


def _history(row: Mapping[str, Any]) -> list[Turn]:
    earlier = row.get("history") or ()
    turns: list[Turn] = []
    for question, answer in json.loads(earlier) if isinstance(earlier, str) else earlier:
        turns += [_turn("user", question), _turn("assistant", answer)]
    return turns


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content.strip()}


ROWS = Stage(
    "rows",
    import_rows,
    Pairs,
    section="clean",
    fields=("redact", "redact_allow", "phone_region", "id_countries"),
    dataset="user_rows",
)

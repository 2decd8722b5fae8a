"""The shelf of forms that pairs are exported in, for other tools."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class DataForm(NamedTuple):
    """One form that pairs are written in."""

    about: str
    row: Callable[[list[Row], str], Row]  # gets turns, and the input of the last question
    write: Callable[[Path, Mapping[str, list[Row]]], None]  # gets a folder, and rows by split


def _messages(turns: list[Row], given: str) -> Row:
    *before, question, answer = turns
    asked = "\n\n".join(filter(None, (question["content"], given)))
    return {"messages": [*before, {"role": "user", "content": asked}, answer]}


def _sharegpt(turns: list[Row], given: str) -> Row:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    messages = _messages(turns, given)["messages"]
    told = [{"from": names[turn["role"]], "value": turn["content"]} for turn in messages]
    system = told.pop(0)["value"] if told[0]["from"] == "system" else ""
    return {"conversations": told, "system": system}


def _alpaca(turns: list[Row], given: str) -> Row:
    system = turns[0]["content"] if turns[0]["role"] == "system" else ""
    said = [turn["content"] for turn in turns if turn["role"] != "system"]
    pairs = [list(pair) for pair in zip(said[:-2:2], said[1:-2:2], strict=True)]
    row = {"instruction": said[-2], "input": given, "output": said[-1]}
    return row | {"system": system, "history": pairs}


def _json_lines(folder: Path, splits: Mapping[str, list[Row]]) -> None:
    for split, rows in splits.items():
        lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, "utf-8")


def _parquet(folder: Path, splits: Mapping[str, list[Row]]) -> None:
    import datasets

    for split, rows in splits.items():
        datasets.Dataset.from_list(rows).to_parquet(str(folder / f"{split}.parquet"))


def _saved(folder: Path, splits: Mapping[str, list[Row]]) -> None:
    import datasets

    parts = {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
    datasets.DatasetDict(parts).save_to_disk(str(folder))


DATA_FORMS: Mapping[str, DataForm] = {
    "messages": DataForm("JSON Lines of chat messages: TRL, axolotl", _messages, _json_lines),
    "sharegpt": DataForm("ShareGPT: LLaMA-Factory, axolotl", _sharegpt, _json_lines),
    "alpaca": DataForm("Alpaca, earlier turns as history: LLaMA-Factory", _alpaca, _json_lines),
    "parquet": DataForm("messages as Parquet: datasets.load_dataset", _messages, _parquet),
    "hf": DataForm("messages as a saved data set: datasets.load_from_disk", _messages, _saved),
}  # name for ``--format`` -> form

"""Review in the terminal: one pair at a time, each decision stored at once."""

import os
import re
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from annotation.decisions import BOUNCES, EDITS, Decision, Item
from annotation.items import evidence_span
from annotation.queue_files import FileQueue
from schemas.pairs import FLAGS

AT_ONCE = {"a": "accept", "s": "skip"}
# Escape sequences and direction marks out of a document could rewrite what the reviewer reads.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def review_in_terminal(queue: FileQueue, reviewer: str, console: Console) -> dict[str, Any]:
    """Show the open pairs one by one and store each decision before the next is shown.

    Return ``verdicts``: how many of each, and how many pairs are ``left`` for this reviewer.
    """
    verdicts: Counter[str] = Counter()
    try:
        # Asked before each pair: somebody else may have decided on it meanwhile.
        while items := queue.open_items(reviewer):
            number = verdicts.total() + 1
            console.rule(f"{number} of {verdicts.total() + len(items)}", style="dim")
            show(items[0], console)
            shown_at = time.monotonic()
            decision = _ask(items[0], reviewer, console)
            if decision is None:
                break
            queue.decide(replace(decision, seconds=round(time.monotonic() - shown_at, 1)))
            verdicts[decision.verdict] += 1
    except (EOFError, KeyboardInterrupt):
        console.print()
    left = len(queue.open_items(reviewer))
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    console.print(Text(f"decided: {said or 'nothing'}; {left} open"))
    return {"verdicts": dict(verdicts), "left": left}


def show(item: Item, console: Console) -> None:
    """Write a pair: the source with its evidence highlighted, question, input, response."""
    clean = {name: _clean(text) for name, text in item.items()}
    if clean["chunk_text"]:
        source, evidence = Text(clean["chunk_text"]), clean["evidence"]
        source.stylize("bold black on yellow", *evidence_span(source.plain, evidence))
        title = Text(clean["document"] or "source", style="dim")
        console.print(Panel(source, title=title, title_align="left", border_style="dim"))
    for name in ("hint", "instruction", "input", "response"):
        if clean[name]:
            console.print(Text(name, style="bold cyan"), Text(clean[name]), sep="\n", end="\n\n")


def _key(question: str, console: Console) -> str:
    """Ask for a key; without a terminal for a line."""
    if not sys.stdin.isatty():
        return _line(question, console).lower()
    console.print(Text(question, style="bold"), end=" ")
    key = click.getchar()
    console.print(Text(_clean(key)))
    return key.strip().lower()


def _line(question: str, console: Console) -> str:
    return console.input(Text.assemble((question, "bold"), " ")).strip()


def _text(question: str, before: str, console: Console) -> str:
    """Ask for a text: in the editor that is configured, or as one line, or several."""
    if sys.stdin.isatty() and (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        try:
            return (click.edit(before, extension=".txt") or "").strip()
        except click.ClickException as error:
            console.print(Text(error.format_message(), style="red"))
    if "\n" not in before:
        return _line(question, console)
    lines = [_line(f"{question}; a line with a full stop alone ends it\n", console)]
    while lines[0] and lines[-1] != ".":
        lines.append(console.input().rstrip())
    return "\n".join(lines[:-1])


def _ask(item: Item, reviewer: str, console: Console) -> Decision | None:
    blank = Decision(item["pair_id"], "", "", (), "", reviewer)
    while True:
        key = _key("[a]ccept  [e]dit  [r]eject  [s]kip  [q]uit", console)
        if key == "q":
            return None
        if key in AT_ONCE:
            return replace(blank, verdict=AT_ONCE[key])
        if key == "e":
            edited: dict[str, Any] = {
                column: _text(f"{name} as it should be (empty: as it is)", item[name], console)
                for name, column in EDITS.items()
            }
            decision = replace(blank, verdict="edit", **edited)
            reason = decision.bounce_reason(item)
            if reason is None:
                return decision
            console.print(Text(BOUNCES[reason], style="red"))
        if key == "r":
            flags = _ask_flags(console)
            if flags:
                note = _line("note (may be empty)", console)
                return replace(blank, verdict="reject", flags=flags, note=note)


def _ask_flags(console: Console) -> tuple[str, ...]:
    known = dict(enumerate(FLAGS, start=1))
    console.print(Text("  ".join(f"{number} {flag}" for number, flag in known.items())))
    while True:
        answer = _line("what is wrong? numbers (empty: back)", console)
        words = answer.replace(",", " ").split()
        flags = [known.get(int(word), "") if word.isdecimal() else word for word in words]
        if all(flag in FLAGS for flag in flags):
            return tuple(dict.fromkeys(flags))
        console.print(Text(f"numbers from 1 to {len(FLAGS)}", style="red"))


def _clean(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)

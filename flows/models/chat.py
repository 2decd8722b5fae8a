"""Talk to a model: the champion, any adapter, or the base; adapters change while you talk."""

import json
from pathlib import Path
from typing import TextIO

import click

from flows.models.listing import entries, system_prompt
from flows.models.loaded_model import base_model
from pipeline.core.errors import InputError, TuneloopError
from pipeline.core.home import Home, whole
from pipeline.evaluate.answers.answers import reply
from pipeline.settings import Settings
from pipeline.text.chat_template import Message
from pipeline.train.models.adapter_swap import Swap

HELP = """\
/adapter A   let another adapter answer: champion, challenger, a fingerprint or a folder
/base        let the base model answer, without an adapter
/adapters    list the trained models
/help        this list
An empty line ends. A change of adapter starts a new conversation; the base stays in memory."""


class Conversation:
    """Who answers, and what was said: ``messages``, behind the system prompt of the model."""

    def __init__(self, settings: Settings, swap: Swap, name: str) -> None:
        self.settings, self.swap, self.name = settings, swap, name
        self.messages = opening(settings, name)
        self.turns: list[dict[str, str]] = []

    def ask(self, line: str) -> str:
        """Return the answer to a line."""
        self.messages.append({"role": "user", "content": line})
        limit = 2 * (self.settings.evaluate.max_new_tokens or 256)
        said = reply(self.swap.model, self.swap.tokenizer, self.messages, limit)
        self.messages.append({"role": "assistant", "content": said})
        self.turns.append({"adapter": self.name, "user": line, "assistant": said})
        return said

    def command(self, line: str) -> str:
        """Do what a line that begins with ``/`` says; return what to tell, or a TuneloopError."""
        word, _, rest = line.partition(" ")
        if word == "/help":
            return HELP
        if word == "/adapters":
            found = entries(Home.at(self.settings.paths.home))
            return "\n".join(map(str, found)) or "no trained model yet"
        if word == "/base" or (word == "/adapter" and rest.strip()):
            name = rest.strip() if word == "/adapter" else "base"
            self.swap.use(find_adapter(self.settings, name))
            self.name, self.messages = name, opening(self.settings, name)
            return f"{name} answers now; a new conversation"
        raise InputError(
            f"chat: {line!r} is no command; expected /adapter A, /base, /adapters or /help; "
            "begin a question with another character"
        )


def talk(settings: Settings, model: str, lines: TextIO, as_json: bool) -> None:
    """Answer lines until an empty one or the end; as JSON, all turns at the end.

    The first to answer is ``base``, ``champion``, ``challenger``, a fingerprint or a folder. A
    command in a pipe that cannot be followed is a TuneloopError; a person is told and goes on.
    """
    adapter = find_adapter(settings, model)
    talking = Conversation(settings, Swap(base_model(settings), settings.model, adapter), model)
    while True:
        click.echo("> ", nl=False, err=True)
        line = lines.readline().strip()
        if not line:
            break
        if line.startswith("/"):
            try:
                click.echo(talking.command(line), err=True)
            except TuneloopError as error:
                if not lines.isatty():  # what follows would be answered by the wrong model
                    raise
                click.echo(f"tuneloop: {error}", err=True)
            continue
        said = talking.ask(line)
        if not as_json:
            click.echo(said)
    if as_json:
        click.echo(json.dumps({"model": model, "turns": talking.turns}, ensure_ascii=False))


def opening(settings: Settings, name: str) -> list[Message]:
    """Return the system prompt that a model knows, as a turn: of its rows, or of the settings."""
    prompt = settings.task.system_prompt
    if name != "base" and not (Path(name).expanduser() / "run_card.json").is_file():
        home = Home.at(settings.paths.home)
        prompt = system_prompt(home, home.model(name))
    return [{"role": "system", "content": prompt}] if prompt else []


def find_adapter(settings: Settings, name: str) -> Path | None:
    """Return the folder of an adapter by ref, fingerprint or path; None for ``base``."""
    if name == "base":
        return None
    folder = Path(name).expanduser()
    if (folder / "run_card.json").is_file():
        return folder.resolve()
    home = Home.at(settings.paths.home)
    if name in ("champion", "challenger") and home.registry.get(f"model/{name}") is None:
        raise InputError(
            f"chat: no {name} found; expected a trained model; run `tuneloop run`, or talk "
            "to the base model with --model base"
        )
    return whole(home.store, home.model(name)).resolve()

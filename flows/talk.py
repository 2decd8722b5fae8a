"""Talk to a model: the champion, the challenger, or the base model."""

import json
from typing import TextIO

import click

from flows.inspect import Home
from flows.models import LoadedModel, base_model
from pipeline.dataset.chat import Message
from pipeline.errors import InputError
from pipeline.settings import Settings


def talk(settings: Settings, model: str, lines: TextIO, as_json: bool) -> None:
    """Answer lines until an empty one or the end.

    Raises:
        InputError: there is no such model yet.
    """
    from pipeline.evaluate.reply import reply

    home = Home.at(settings.paths.home)
    adapter = None
    if model != "base":
        adapter = home.registry.dataset(f"model/{model}", home.store)
        if adapter is None:
            raise InputError(
                f"chat: no {model} found; expected a trained model; run `tuneloop run`, or talk "
                "to the base model with --model base"
            )
    base = base_model(settings)
    network, tokenizer = LoadedModel(base, settings.model, home.store).get(adapter)
    messages: list[Message] = []
    turns = []
    while True:
        click.echo("> ", nl=False, err=True)
        line = lines.readline().strip()
        if not line:
            break
        messages.append({"role": "user", "content": line})
        said = reply(network, tokenizer, messages, settings.evaluate.max_new_tokens * 2)
        messages.append({"role": "assistant", "content": said})
        turns.append({"user": line, "assistant": said})
        if not as_json:
            click.echo(said)
    if as_json:
        click.echo(json.dumps({"model": model, "turns": turns}, ensure_ascii=False))

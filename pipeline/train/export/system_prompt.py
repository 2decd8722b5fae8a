"""The system prompt of a model in what it is exported as: a server adds it by itself."""

import json
from pathlib import Path

TEMPLATE = "chat_template.jinja"


def with_system_prompt(template: str, prompt: str) -> str:
    """Return a chat template that begins a conversation without a system turn with a prompt.

    Args:
        template: Jinja, as ``transformers`` renders it.
        prompt: of the training rows; empty changes nothing.
    """
    if not prompt:
        return template
    turn = f"[{{'role': 'system', 'content': {json.dumps(prompt, ensure_ascii=False)}}}]"
    return (
        "{%- if not messages or messages[0]['role'] != 'system' -%}"
        f"{{%- set messages = {turn} + messages -%}}"
        "{%- endif -%}"
        f"{template}"
    )


def write_system_prompt(folder: Path, template: str, prompt: str) -> None:
    """Write the chat template of an exported model with its system prompt in it."""
    if prompt:
        (folder / TEMPLATE).write_text(with_system_prompt(template, prompt), "utf-8")

"""`tuneloop init`: a new project with a commented settings file, folders and a seed-task file."""

import shutil
from pathlib import Path
from typing import Any

import tomli_w
import tomlkit
from tomlkit.items import Table

from pipeline.core.cache import write_atomically
from pipeline.core.errors import InputError
from pipeline.settings import Settings

SEED_TASKS = Path(__file__).with_name("seed_tasks.jsonl")
"""Two tasks to show the form; a project wants 20 or more of its own, varied in verb and form."""
METHOD_SETTINGS = (
    "rank", "alpha", "targets", "dropout", "rate_ratio", "bottleneck", "virtual_tokens",
)  # fmt: skip
"""Settings of [train] that not every method has a use for."""
BRIEF = """\
# In your own words: what the assistant is for, who asks it, how it answers. The teacher and the
# judge are told, and the system prompt begins every conversation, from training to export.
# Leave it empty for plain questions and answers. Two examples:
#   about: "It answers questions of our service technicians about the pumps of series P."
#   rules: "Steps as a list. Metric units. Never guess a torque: say that it is not in the manual."
#
#   about: "It sorts the mail of our help desk and drafts the first reply."
#   system_prompt: "You are the help desk of Example Ltd. Be short and friendly."\
"""
"""Begins the section [task] of a new project."""
PATHS = {
    "input": "raw", "home": "home", "seeds": "seeds/seed_tasks.jsonl", "gold": "",
    "general": str(Path(__file__).parents[2] / "data" / "general"),
}  # fmt: skip
"""Paths of a new project that are not the defaults."""


def create_project(folder: Path) -> list[Path]:
    """Write the files of a new project; an InputError where it has a tuneloop.toml already."""
    config = folder / "tuneloop.toml"
    if config.exists():
        raise InputError(
            f"init: {config} is there already; expected a new folder; edit that file, or name "
            "another folder"
        )
    seeds = folder / PATHS["seeds"]
    (folder / PATHS["input"]).mkdir(parents=True, exist_ok=True)
    seeds.parent.mkdir(exist_ok=True)
    shutil.copyfile(SEED_TASKS, seeds)
    config.write_text(commented_settings(), "utf-8")
    return [config, seeds, folder / PATHS["input"]]


def commented_settings() -> str:
    """Return all settings as TOML with descriptions; defaults but the paths are commented out."""
    lines = [
        "# Settings of a tuneloop project: uncomment what you want to change.",
        "# Secrets do not belong here: OPENAI_API_KEY and LABEL_STUDIO_API_KEY are read from the",
        "# environment.",
    ]
    for name, section in Settings.model_fields.items():
        model = section.annotation
        assert model is not None
        lines += ["", f"# {(model.__doc__ or '').strip().splitlines()[0]}", f"[{name}]"]
        lines += BRIEF.split("\n") if name == "task" else []
        defaults: dict[str, Any] = model().model_dump(mode="json")
        for key, field in model.model_fields.items():
            about = " ".join((field.description or "").split())
            lines += [f"# {about}"] if about else []
            if name == "paths":
                defaults |= PATHS
            value = "" if defaults[key] is None else defaults[key]
            lines.append(f"{'' if name == 'paths' else '# '}{_toml(key, value)}")
    return "\n".join(lines) + "\n"


def _toml(key: str, value: Any) -> str:
    if isinstance(value, dict):  # in one line; tomli_w would begin a section
        return f"{key} = {{{', '.join(_toml(*item) for item in value.items())}}}"
    return " ".join(tomli_w.dumps({key: value}).split())


def set_in_file(file: Path, section: str, values: dict[str, Any]) -> None:
    """Set values in a section of a settings file; comments and everything else stay as they are.

    A value that is there is replaced in its line; others are added after the section's last one.
    Settings of [train] that the values leave out and that another method would refuse are
    commented out; written as dotted keys or in braces, they are taken out.
    """
    document = tomlkit.parse(file.read_bytes())
    table = document.setdefault(section, tomlkit.table())
    body = table.value.body if isinstance(table, Table) else []
    comments: list[Any] = []  # behind the last value: they may speak of the next section
    while body and body[-1][0] is None:
        comments.insert(0, body.pop())
    for name in [name for name in table if name in METHOD_SETTINGS and name not in values]:
        place = next((place for place, (key, _) in enumerate(body) if key == name), None)
        old = table.pop(name)
        if place is not None:
            line = f"{_toml(name, old.unwrap())}  {old.trivia.comment}".rstrip()
            body[place] = (None, tomlkit.comment(line))
    table.update(values)
    body.extend(comments)
    write_atomically(file, tomlkit.dumps(document).encode())

"""`tuneloop init`: a new project with a commented settings file, folders and a seed-task file."""

import json
from pathlib import Path
from typing import Any

import tomli_w

from pipeline.cache import write_atomically
from pipeline.errors import InputError
from pipeline.settings import Settings

SEED_TASKS = [
    {
        "id": "seed-001",
        "name": "explain_term",
        "instruction": "Explain in one sentence what a maintenance window is.",
        "input": "",
        "output": "A maintenance window is an agreed period in which a system may be changed or "
        "switched off.",
        "is_classification": False,
    },
    {
        "id": "seed-002",
        "name": "classify_urgency",
        "instruction": "Is this message urgent? Answer yes or no.",
        "input": "The pump has stopped and the tank is running over.",
        "output": "yes",
        "is_classification": True,
    },
]
"""Two tasks to show the form; a project wants 20 or more of its own, varied in verb and form."""

METHOD_SETTINGS = (
    "rank", "alpha", "targets", "dropout", "rate_ratio", "bottleneck", "virtual_tokens",
)  # fmt: skip
"""Settings of [train] that not every method has a use for."""

FOLDERS = {"input": "raw", "home": "home"}


def create_project(folder: Path) -> list[Path]:
    """Write the files of a new project and return them.

    Raises:
        InputError: the folder has a tuneloop.toml already.
    """
    config = folder / "tuneloop.toml"
    if config.exists():
        raise InputError(
            f"init: {config} is there already; expected a new folder; edit that file, or name "
            "another folder"
        )
    seeds = folder / "seeds" / "seed_tasks.jsonl"
    (folder / FOLDERS["input"]).mkdir(parents=True, exist_ok=True)
    seeds.parent.mkdir(exist_ok=True)
    seeds.write_text("".join(json.dumps(task) + "\n" for task in SEED_TASKS), "utf-8")
    config.write_text(commented_settings(), "utf-8")
    return [config, seeds, folder / FOLDERS["input"]]


def commented_settings() -> str:
    """Return all settings with defaults and descriptions as TOML; values are commented out.

    Only the paths of the project are set: a default that is not written down follows the program.
    """
    lines = [
        "# Settings of a tuneloop project: uncomment what you want to change.",
        "# Secrets do not belong here: OPENAI_API_KEY and LABEL_STUDIO_API_KEY are read from the",
        "# environment.",
    ]
    for name, section in Settings.model_fields.items():
        model = section.annotation
        assert model is not None
        lines += ["", f"# {(model.__doc__ or '').strip().splitlines()[0]}", f"[{name}]"]
        defaults: dict[str, Any] = model().model_dump(mode="json")
        for key, field in model.model_fields.items():
            about = " ".join((field.description or "").split())
            lines += [f"# {about}"] if about else []
            if name == "paths":
                lines.append(_path_line(key))
            else:
                value = "" if defaults[key] is None else defaults[key]
                lines.append(f"# {_toml(key, value)}")
    return "\n".join(lines) + "\n"


def _path_line(key: str) -> str:
    general = Path(__file__).parent.parent / "data" / "general"
    values: dict[str, Any] = FOLDERS | {
        "seeds": "seeds/seed_tasks.jsonl",
        "gold": "",
        "general": str(general),
    }
    values |= {"logs": "", "benchmarks": []}
    return _toml(key, values[key])


def _toml(key: str, value: Any) -> str:
    if isinstance(value, dict):  # in one line; tomli_w would begin a section
        return f"{key} = {{{', '.join(_toml(*item) for item in value.items())}}}"
    return " ".join(tomli_w.dumps({key: value}).split())


def set_in_file(file: Path, section: str, values: dict[str, Any]) -> None:
    """Set values in a section of a settings file; comments and everything else stay as they are.

    A value that is there, commented out or not, is replaced in its line; others are added under
    the section's header, which is added at the end if there is none. Settings of [train] that the
    values leave out and that another method would refuse are commented out.
    """
    lines = file.read_text("utf-8").splitlines()
    header = f"[{section}]"
    if header not in (line.strip() for line in lines):
        lines += ["", header]
    start = next(place for place, line in enumerate(lines) if line.strip() == header) + 1
    end = next(
        (place for place in range(start, len(lines)) if lines[place].startswith("[")), len(lines)
    )
    part, left = lines[start:end], dict(values)
    for place, line in enumerate(part):
        bare = line.removeprefix("#").strip()
        name = bare.partition("=")[0].strip() if "=" in bare else ""
        if name in left:
            part[place] = _toml(name, left.pop(name))
        elif name in METHOD_SETTINGS and not line.startswith("#"):
            part[place] = f"# {line}"
    added = [_toml(name, value) for name, value in left.items()]
    write_atomically(
        file, ("\n".join([*lines[:start], *added, *part, *lines[end:]]) + "\n").encode()
    )

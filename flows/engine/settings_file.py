"""Read and write settings: a TOML file, overrides, and errors that name the nearest key."""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from pipeline.core.errors import SettingsError
from pipeline.core.remote import address_of
from pipeline.documents.clean.privacy import kinds_of
from pipeline.documents.clean.privacy.id_table import countries_of
from pipeline.documents.clean.profiles import rules_of
from pipeline.settings import Settings
from pipeline.train.methods import resolved

MOVED = {
    "ingest.workers": "compute.workers",
    "clean.workers": "compute.workers",
    "chunk.workers": "compute.workers",
    "dedup.runner": "compute.runner",
    "dedup.ray_address": "compute.ray_address",
    "dedup.memory_megabytes": "compute.memory_megabytes",
}
"""Settings of earlier versions -> where they are now."""


def load_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Read settings: defaults, then the file, then ``section.key=value`` overrides.

    Paths come out absolute, so that the settings stored with a run re-run it from anywhere.

    Raises:
        SettingsError: the file is missing or not TOML, or keys or values are wrong; the message
            lists all of them. Or a setting of training is given that its method does not use.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise SettingsError(
                f"settings: {path} cannot be read ({error.strerror}); expected a "
                "TOML file; make one with `tuneloop init DIR`"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"settings: {path} is not TOML ({error}); mend that line"
            ) from error
    for override in overrides:
        _apply(tree, override)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    try:
        rules_of(settings.clean.profile, settings.clean.limits)
        kinds_of(settings.clean.redact)
        countries_of(settings.clean.id_countries)
    except ValueError as error:
        raise SettingsError(f"settings {_where(path)}: clean: {error}") from None
    train = resolved(settings.train)
    if settings.export.serve_with == "vllm":
        from pipeline.train.export.servable import check_settings

        check_settings(train, settings.export)
    start = (path.parent if path is not None else Path()).absolute()
    paths = {key: _below(start, value) for key, value in settings.paths if value is not None}
    for override in overrides:  # typed on the command line: they count from where it was typed
        name = override.partition("=")[0].strip().removeprefix("paths.")
        if override.strip().startswith("paths.") and name in paths:
            paths[name] = _below(Path.cwd(), getattr(settings.paths, name))
    return settings.model_copy(update={"paths": settings.paths.model_copy(update=paths)})


def _below(
    start: Path, value: Path | str | tuple[Path | str, ...]
) -> Path | str | tuple[Path | str, ...]:
    """Return paths as they count from a folder; an address counts from nowhere."""
    if isinstance(value, str):
        return value
    if isinstance(value, Path):
        return start / value.expanduser()
    return tuple(path if isinstance(path, str) else start / path.expanduser() for path in value)


def dump_settings(settings: Settings) -> str:
    """Return the settings as TOML that :func:`load_settings` reads back to the same value."""
    tree = settings.model_dump(mode="json")
    tree["paths"]["home"] = address_of(settings.paths.home) or tree["paths"]["home"]
    written = {
        section: {key: "" if value is None else value for key, value in values.items()}
        for section, values in tree.items()
    }
    return tomli_w.dumps(written)


def _apply(tree: dict[str, Any], override: str) -> None:
    key, sign, value = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (sign and dot and name):
        raise SettingsError(
            f"settings: --set {override!r} found; expected section.key=value, "
            "as in --set dedup.threshold=0.8"
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string: --set train.method=lora
    *tables, last = [section, *name.split(".")]  # clean.limits.too_short is in a table of [clean]
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise SettingsError(
                f"settings: --set {override!r} found, but {table} is a value; expected a section"
            )
    tree[last] = parsed


def _explain(error: ValidationError, path: Path | None) -> str:
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if key in MOVED:
            problems.append(f"{key} is {MOVED[key]} now, one setting for all stages")
        elif item["type"] == "extra_forbidden":
            problems.append(f"{key} is not a setting{_near(item['loc'])}")
        else:
            problems.append(f"{key}: {item['input']!r} found; {item['msg']}")
    return f"settings {_where(path)}: " + "; ".join(problems)


def _where(path: Path | None) -> str:
    return f"in {path}" if path else "given"


def _near(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        model = annotation
    close = get_close_matches(str(location[-1]), model.model_fields, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(model.model_fields)})"

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
from pipeline.documents.clean.privacy.ids import countries_of
from pipeline.documents.clean.privacy.redact import kinds_of
from pipeline.documents.clean.profiles import rules_of
from pipeline.settings import Settings
from pipeline.train.methods import resolved

MOVED = {f"{name}.workers": "compute.workers" for name in ("ingest", "clean", "chunk")} | {
    f"dedup.{name}": f"compute.{name}" for name in ("runner", "ray_address", "memory_megabytes")
}
"""Settings of earlier versions -> where they are now."""

FIXED = {
    "dedup.ngram": 5, "dedup.num_perm": 128, "dedup.candidate_threshold": 0.65, "dedup.seed": 1,
}  # fmt: skip
"""Settings of earlier versions that nobody turned -> their value, which may still be given."""


def load_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Read settings: defaults, then the file, then ``section.key=value`` overrides.

    Paths come out absolute, so that the settings stored with a run re-run it from anywhere. A
    SettingsError lists all that is wrong.
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
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
            raise SettingsError(f"settings: {path} is not TOML ({why}); mend that line") from why
    for override in overrides:
        _apply(tree, override)
    for key, value in FIXED.items():
        section, _, name = key.partition(".")
        if isinstance(given := tree.get(section), dict) and given.get(name) == value:
            del given[name]
    where = f"in {path}" if path else "given"
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(f"settings {where}: {_explain(error)}") from None
    try:
        rules_of(settings.clean.profile, settings.clean.limits)
        kinds_of(settings.clean.redact)
        countries_of(settings.clean.id_countries)
    except ValueError as error:
        raise SettingsError(f"settings {where}: clean: {error}") from None
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


def _below(start: Path, value: Any) -> Any:
    """Return a path, or several, as they count from a folder; an address counts from nowhere."""
    if isinstance(value, tuple):
        return tuple(_below(start, path) for path in value)
    return value if isinstance(value, str) else start / value.expanduser()


def dump_settings(settings: Settings) -> str:
    """Return the settings as TOML that :func:`load_settings` reads back to the same value."""
    tree = settings.model_dump(mode="json")
    tree["paths"]["home"] = address_of(settings.paths.home) or tree["paths"]["home"]
    for section in tree.values():
        section |= {key: "" for key, value in section.items() if value is None}
    return tomli_w.dumps(tree)


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


def _explain(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if key in MOVED:
            problems.append(f"{key} is {MOVED[key]} now, one setting for all stages")
        elif key in FIXED:
            problems.append(f"{key} is no setting any more, it is always {FIXED[key]}: delete it")
        elif item["type"] == "extra_forbidden":
            problems.append(f"{key} is not a setting{_near(item['loc'])}")
        else:
            problems.append(f"{key}: {item['input']!r} found; {item['msg']}")
    return "; ".join(problems)


def _near(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        model = annotation
    close = get_close_matches(str(location[-1]), model.model_fields, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(model.model_fields)})"

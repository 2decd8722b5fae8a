"""Prompt files: the words in which a teacher is asked, one Markdown file a kind of task.

A file has parts, each below a heading of its own ("# Question", "# Answer"); what stands before the
first one is for people. Names in braces are filled in. A project may have its own file instead of
each (``paths.prompts``). The version of a prompt is the digest of its parts, so a change of words
asks anew where these words are used, and nowhere else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.cache import digest
from pipeline.core.errors import SettingsError

SHIPPED = Path(__file__).parent
_HEADING = re.compile(r"^# +(\w+)[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The prompts of one kind of task."""

    name: str
    parts: Mapping[str, str]
    """Heading in small letters -> text with names in braces."""

    @property
    def version(self) -> str:
        """Name and digest of the words, as each pair has it in ``prompt_version``."""
        return f"{self.name}/{digest(dict(self.parts))[:8]}"

    def fill(self, part: str, **values: str) -> str:
        """Return a part with its names filled in; braces that are no name stay as they are."""
        return _NAME.sub(lambda match: values.get(match[1], match[0]), self.parts[part])


def read_prompts(own: Path | None = None) -> dict[str, PromptFile]:
    """Return the prompts by kind of task: those of the project where it has them, else ours.

    Args:
        own: folder of the project; its files are named after kinds.

    Raises:
        SettingsError: a file of the project is of no kind, or lacks a part or a name in braces.
    """
    prompts = {path.stem: _read(path) for path in sorted(SHIPPED.glob("*.md"))}
    if own is None:
        return prompts
    if not own.is_dir():
        raise SettingsError(f"paths.prompts: {own} is no folder; expected one with prompt files")
    for path in sorted(own.glob("*.md")):
        ours = prompts.get(path.stem)
        if ours is None:
            raise SettingsError(
                f"paths.prompts: {path} is of no kind of task; expected one of "
                f"{', '.join(prompts)} before .md"
            )
        prompts[path.stem] = _checked(_read(path), ours, path)
    return prompts


def _read(path: Path) -> PromptFile:
    pieces = _HEADING.split(path.read_text("utf-8"))[1:]
    named = zip(pieces[::2], pieces[1::2], strict=True)
    return PromptFile(path.stem, {name.lower(): text.strip() for name, text in named})


def _checked(own: PromptFile, ours: PromptFile, path: Path) -> PromptFile:
    """Return a prompt file of a project once it asks for all that ours asks for."""
    for part, text in ours.parts.items():
        if not own.parts.get(part):
            raise SettingsError(
                f"paths.prompts: {path} has no text below a heading '# {part.capitalize()}'; "
                f"expected {_listed([f'# {name.capitalize()}' for name in ours.parts])}; "
                f"begin with a copy of ours (tuneloop show prompts {own.name})"
            )
        missing = set(_NAME.findall(text)) - set(_NAME.findall(own.parts[part])) - {"questions"}
        if missing:
            raise SettingsError(
                f"paths.prompts: {path} does not say "
                f"{_listed([f'{{{name}}}' for name in sorted(missing)])} below "
                f"'# {part.capitalize()}'; without it the teacher would not be told"
            )
    return own


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)

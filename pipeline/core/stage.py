"""A stage: one step from tables to a table, and all that decides whether it is made again.

Its data set is made again when the content of its inputs or a setting that counts changes; a cheap
stage also when its code changes, a dear one (it has a ``version``: it asks a teacher, trains or
runs a model) when that is raised by hand: only a person can tell whether results change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from pipeline.core.code import code_digests, function_digest
from pipeline.core.outcome import Outcome
from pipeline.core.store import Filled
from schemas.base import Table


class Given(NamedTuple):
    """An argument of a stage that is no data set: files, a tokenizer, a teacher."""

    value: Any
    digest: str | None = None  # by what it counts when reuse is decided; None: it changes no result


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the pipeline, declared once."""

    name: str
    function: Callable[..., Outcome[Any] | Filled]
    """Called by keyword: each table of ``reads``, each :class:`Given`, ``settings`` when there is
    a section, and ``folder`` when files are written instead of a table."""
    writes: type[Table] | None  # schema of the rows; None: the function fills a folder of files
    reads: Mapping[str, type[Table]] = field(default_factory=dict)  # of each table, by argument
    section: str | None = None  # section of the settings that the function gets
    fields: tuple[str, ...] = ()  # fields of the section that count; empty: all of its recipe
    dataset: str = ""  # name of the data set; the stage's own name unless it is given
    version: int | None = None  # of a dear stage; raise it when its results change
    holds_model: bool = False  # whether it loads a language model: such stages take turns
    code: tuple[str, ...] = ()
    """Modules that compute it, with all that they import: given where the function itself only
    calls them, and stands beside others. Else it is the function's module."""

    def named(self, name: str, dataset: str = "") -> Self:
        """Return this stage under another name, such as that of one arm of a comparison."""
        return replace(self, name=name, dataset=dataset or self.dataset)

    def settings(self, settings: object) -> Any:
        """Return the section of the settings that the function gets, if any."""
        return getattr(settings, self.section) if self.section else None

    def recipe(self, section: Any) -> dict[str, Any]:
        """Return the settings that count of a section, as JSON has them; none for None."""
        recipe: dict[str, Any] = section.recipe() if section is not None else {}
        return {name: recipe[name] for name in self.fields or recipe}

    def modules(self) -> dict[str, str]:
        """Return the digests of the code that makes this stage's result, by name."""
        module, name = self.function.__module__, self.function.__name__
        if not self.code:
            return code_digests([module])
        return code_digests(self.code) | {f"{module}.{name}": function_digest(module, name)}

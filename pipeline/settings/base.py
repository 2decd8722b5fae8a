"""What all sections of the settings share."""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Self, cast, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.core.remote import holds_secret, is_address, mirror_of

Share = Annotated[float, Field(ge=0, le=1)]


def _none_of_ours(extra: dict[str, Any]) -> dict[str, Any]:
    if taken := [name for name in ("model", "messages", "n") if name in extra]:
        raise ValueError(f"{', '.join(taken)} cannot be set here")
    return extra


Extra = Annotated[dict[str, Any], AfterValidator(_none_of_ours)]


def _location(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not is_address(value) or value.startswith("file://"):
        return Path(value.removeprefix("file://"))
    if holds_secret(value):
        raise ValueError(
            "an address with a password or a query cannot be set here, since settings are stored; "
            "credentials come from the environment"
        )
    return value


Location = Annotated[Path | str, BeforeValidator(_location)]
"""A path of this machine, or an address in an object store, whose slashes a path would lose."""


def _home(value: object) -> object:
    place = _location(value)
    return mirror_of(place) if isinstance(place, str) else place


HomePath = Annotated[Path, BeforeValidator(_home)]
"""A folder of this machine; of an address in an object store, the one that mirrors it."""


class Section(BaseModel):
    """Frozen; a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    how: ClassVar[frozenset[str]] = frozenset()
    """Fields that say how a result is computed and not what it is: workers, memory, limits of
    time. They are no part of a fingerprint, so a data set stays when they change."""

    def plain(self) -> Self:
        """Return the values without pydantic, to be sent to a worker process that has none."""
        return cast("Self", SimpleNamespace(**dict(self)))

    def recipe(self) -> dict[str, Any]:
        """Return what a result depends on, as JSON has it."""
        return self.model_dump(mode="json", exclude=set(self.how))

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, values: Any) -> Any:
        """An empty text is how a settings file says that a field has no value."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        empty = [name for name in fields.keys() & values.keys() if values[name] == ""]
        optional = [name for name in empty if type(None) in get_args(fields[name].annotation)]
        return values | dict.fromkeys(optional)

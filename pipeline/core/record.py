"""Records: results as they are computed, stored as JSON, read back and shown.

A result has one class. An unknown or missing field is an error when it is read, never dropped.
"""

import dataclasses
import json
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass
from pydantic_core import to_json

T = TypeVar("T")

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A record that is made by keyword, such as a section of a report or a row of a ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are validated; it may be a field of a Record."""
    made = dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))(cls)
    return cast("type[T]", made)


def as_json(value: Any) -> Any:
    """Return plain JSON values; a number that is not finite becomes None."""
    return json.loads(to_json(value, inf_nan_mode="null"))


def read_json(kind: type[T], value: Any) -> T:
    """Read a record out of plain JSON; ValidationError for a missing, unknown or wrong field."""
    return TypeAdapter(kind).validate_python(value)

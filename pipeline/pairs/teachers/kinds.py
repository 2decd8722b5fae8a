"""The kinds of teachers: one object each, from which all else about teachers is derived."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pipeline.pairs.teachers.teacher import Strength, Teacher

if TYPE_CHECKING:  # the command line lists the kinds, and must not wait for pydantic and torch
    from pipeline.settings import Settings
    from pipeline.train.models.base_model import BaseModel

Say = Callable[[str], None]


class TeacherKind(NamedTuple):
    """A kind of teacher."""

    about: str  # what it is, for the report and ``--help``
    needs: str  # what a user must give, for ``--help``
    make: Callable[["Settings", "BaseModel", Say], Teacher]  # loads no model yet


def _in_process(settings: "Settings", base: "BaseModel", say: Say) -> Teacher:
    from pipeline.pairs.teachers.embedded import EmbeddedTeacher
    from pipeline.train.models.base_model import resolve_model

    asked, model = settings.teacher, settings.model
    strength: Strength = "weak" if asked.kind == "embedded" else "strong"
    if asked.kind == "local":
        import torch

        model = model.model_copy(update={"base_model": asked.model})
        base = resolve_model(model, settings.paths.home / "models")
        if torch.cuda.is_available():
            say(
                f"teacher {base.name}: a server makes many more replies a second on a GPU: "
                f"vllm serve {base.path}, then teacher.kind = openai"
            )
    strength = strength if asked.strength == "auto" else asked.strength
    return EmbeddedTeacher(base, model, settings.generate.batch_size, strength)


def _endpoint(settings: "Settings", base: "BaseModel", say: Say) -> Teacher:
    from pipeline.pairs.teachers.endpoint import EndpointTeacher

    return EndpointTeacher(settings.teacher, os.environ.get("OPENAI_API_KEY"), say)


TEACHERS = {
    "embedded": TeacherKind(
        "the base model, in this process",
        "nothing more; answers are taken from the text unless teacher.strength is strong",
        _in_process,
    ),
    "local": TeacherKind(
        "a model of its own in this process",
        "teacher.model: a folder, or a Hugging Face id that is in the local cache or may be "
        "fetched (model.allow_download)",
        _in_process,
    ),
    "openai": TeacherKind(
        "a model behind an OpenAI-compatible endpoint",
        "teacher.model and teacher.base_url; a key, where it wants one, in OPENAI_API_KEY",
        _endpoint,
    ),
}  # value of ``teacher.kind`` -> kind of teacher

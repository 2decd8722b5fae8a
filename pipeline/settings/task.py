"""Settings of the task: what the assistant is for, in the user's own words."""

from typing import Literal

from pydantic import field_validator

from pipeline.settings.base import Section, Share


class TaskSettings(Section):
    """The brief: what the assistant is for, who asks it, how it answers."""

    about: str = ""
    """What it is for, as in "It answers questions of our service technicians about pump P1". The
    teacher and the judge are told, so that they write and judge for that use."""
    audience: str = ""
    """Who asks, and what they know already."""
    rules: str = ""
    """Tone and rules of its answers, as in "Short, polite, metric units, never guess a torque"."""
    system_prompt: str = ""
    """First message of each conversation: in every training row, in evaluation, chat and export.
    Empty: there is none."""
    passages: Share = 0.6
    """Share of the training questions that stand behind the passages which retrieval finds, as they
    will where documents are looked up (RAFT, Zhang et al. 2024); the others are learnt by heart. On
    the sample, with passages, 60 % of facts were right instead of 40 %, and training took 2.7 times
    as long. 0: for a model that is served without its documents."""
    turns: Literal["all", "last"] = "all"
    """Answers of a conversation that are trained on: each one, or the last alone."""
    refusal: str = "I do not know: my documents say nothing about that."
    """What it answers where the documents have no answer (kind ``not_in_documents``). In documents
    of another language the teacher says it in that language."""
    extraction: str = ""
    """Instruction of the kind ``extraction``, as in "Write the order as JSON"; its answers follow
    the JSON Schema in ``paths.schema_file``. Empty: no such pairs."""
    classification: str = ""
    """Instruction of the kind ``classification``, as in "Which team does this ticket go to?"; its
    answer is one of ``labels``. Empty: no such pairs."""
    labels: tuple[str, ...] = ()
    """Answers of the kind ``classification``."""
    rewriting: str = ""
    """Instruction of the kind ``rewriting``, as in "Say it in our house style"; the style is that
    of the texts in ``paths.style``. Empty: no such pairs."""

    @field_validator("*", mode="after")
    @classmethod
    def _without_space_around(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @field_validator("labels")
    @classmethod
    def _two_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) == 1 or len({label.casefold() for label in value}) < len(value):
            raise ValueError("two or more different labels are needed")
        return value

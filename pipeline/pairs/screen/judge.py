"""A judge of claims: each claim of a response, by a model that has the passage in view.

Each is supported or not (FActScore, Min et al. 2023). The judge rejects pairs once its agreement
with people's decisions on pairs of the project (Cohen's kappa) is high enough; until then it shows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pipeline.core.cache import digest
from pipeline.pairs.agreement import Calibration, calibrate
from pipeline.pairs.kinds.brief import MATERIAL, PromptFile, between_markers
from pipeline.pairs.screen.candidate import Candidate
from pipeline.pairs.teachers.replies import ask_judge
from pipeline.pairs.teachers.teacher import Teacher

ROOM = 512  # tokens of a reply: some twelve claims
MISSES = "it is no answer to this question"
_LINE = re.compile(r"^\W*(SUPPORTED|UNSUPPORTED|ANSWERS|MISSES)\b[\W_]*(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClaimsJudge:
    """A judge of claims, and whether people agree with it."""

    teacher: Teacher
    prompt: PromptFile
    calibration: Calibration | None = None  # None: not compared with people yet

    @property
    def counts(self) -> bool:
        """Whether it rejects pairs."""
        return self.calibration is not None and self.calibration.calibrated

    @property
    def digest(self) -> str:
        """By what pairs are screened anew."""
        told = self.calibration and (self.calibration.text, self.counts)
        return digest([self.teacher.name, self.prompt.version, told])

    def faults(self, pairs: Sequence[Candidate]) -> list[tuple[str, ...] | None]:
        """Return what is wrong with each pair, claims or :data:`MISSES`; None: unreadable reply."""
        asked = [
            self.prompt.fill(
                "claims",
                material=f"{MATERIAL}\n\n{between_markers(pair.source)}",
                question="\n".join(filter(None, (pair.history, pair.instruction))),
                answer=pair.response,
            )
            for pair in pairs
        ]
        expected = "SUPPORTED or UNSUPPORTED before each claim, then ANSWERS or MISSES"
        return ask_judge(self.teacher, [(("user", text),) for text in asked], ROOM, _read, expected)

    def calibrated(
        self, decided: Mapping[str, bool], pairs: Sequence[Candidate], least: int, min_kappa: float
    ) -> "ClaimsJudge":
        """Return it compared with what people ``decided``; it counts from these two figures on."""
        known = [pair for pair in pairs if pair.pair_id in decided]
        people = [decided[pair.pair_id] for pair in known]
        found = self.faults(known) if len(known) >= least else []
        judged = [faults == () for faults in found]
        return replace(self, calibration=calibrate(people, judged, least, min_kappa, "reject"))


class Criteria(NamedTuple):
    """What pairs are judged by, beside the settings of the screens."""

    languages: tuple[str, ...] = ()  # that a pair may be in (ISO 639-1); empty allows all
    judge: ClaimsJudge | None = None

    @property
    def recipe(self) -> list[str]:
        """By what pairs are screened anew."""
        return [*self.languages, *([self.judge.digest] if self.judge else [])]

    @property
    def rejecting(self) -> list[str]:
        """The same, of what rejects pairs."""
        return self.recipe if self.judge and self.judge.counts else list(self.languages)


def _read(reply: str) -> tuple[str, ...] | None:
    """Return the faults that a reply names; None where it has no claim, or no last line."""
    lines = _LINE.findall(reply)
    if not {"ANSWERS", "MISSES"}.intersection(word for word, _ in lines):
        return None
    found = [claim for word, claim in lines if word == "UNSUPPORTED"]
    return (*found, *(MISSES for word, _ in lines if word == "MISSES"))

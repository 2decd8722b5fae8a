"""Every model that was trained here, with what became of it."""

import json
from dataclasses import dataclass
from typing import Any

from pipeline.core.home import Home
from pipeline.core.manifest import Manifest
from pipeline.core.registry import CHALLENGER, CHAMPION
from pipeline.core.store import Dataset
from pipeline.documents.forgotten import forgotten

RECORD = "verdict.json"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate said of a model: the data set that keeps the evidence, and its record."""

    evidence: str  # ``verdict/fingerprint``
    record: dict[str, Any]

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        return str(self.record["verdict"]["summary"])


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the registry."""

    fingerprint: str
    method: str
    trained_at: str  # UTC, ISO 8601
    marks: tuple[str, ...]
    """champion, challenger; ``was champion`` of one that another replaced; of one that was trained
    on a document that is forgotten by now, that it is to be replaced."""
    verdict: str  # promoted, refused, or not judged: what the gate said last, whatever people did
    correct: float | None  # share of key facts in its answers on its test set; None: not judged
    summary: str
    evidence: str  # data set of the verdict; empty before it was judged

    def __str__(self) -> str:
        right = "     -" if self.correct is None else f"{self.correct:6.0%}"
        return (
            f"{self.fingerprint}  {self.trained_at}  {self.method:<18} {self.verdict:<10} "
            f"{right}  {', '.join(self.marks)}".rstrip()
        )


def system_prompt(home: Home, model: Dataset) -> str:
    """Return the system prompt that a model was trained with, '' for none."""
    manifest = home.store.manifest(model.name, model.fingerprint)
    return system_prompt_of(home, home.dataset(manifest.inputs["from"]))


def system_prompt_of(home: Home, examples: Dataset) -> str:
    """Return the system prompt of examples, '' for none."""
    manifest = home.store.manifest(examples.name, examples.fingerprint)
    return str(manifest.settings.get("system_prompt", ""))


def judgement(home: Home, model: Dataset) -> Judgement | None:
    """Return what the gate said last of a model, or None."""
    return _judgements(home).get(str(model))


def entries(home: Home) -> list[Entry]:
    """Return all models of the store, the latest first."""
    judged = _judgements(home)
    latest = (item for item in reversed(home.manifests()) if item.dataset == "model")
    return [_entry(home, item, judged.get(str(item))) for item in latest]


def _entry(home: Home, manifest: Manifest, found: Judgement | None) -> Entry:
    right, verdict, summary, evidence = None, "not judged", "", ""
    if found is not None:
        evaluation = found.record["evaluation"]
        arm = evaluation["arms"].get(evaluation.get("served", "challenger"), {})
        right = arm["correct"]["value"] if "correct" in arm else None
        verdict = "promoted" if found.record["verdict"]["promoted"] else "refused"
        summary, evidence = found.summary, found.evidence
    key, method = manifest.fingerprint, str(manifest.settings.get("method", ""))
    marks = _marks(home, key)
    return Entry(key, method, manifest.created_at, marks, verdict, right, summary, evidence)


def _marks(home: Home, fingerprint: str) -> tuple[str, ...]:
    marks = []
    for ref in (CHAMPION, CHALLENGER):
        current = home.registry.get(ref)
        if current is not None and current.fingerprint == fingerprint:
            marks.append(ref.removeprefix("model/"))
    if "champion" not in marks and home.registry.was(CHAMPION, fingerprint):
        marks.append("was champion")
    if any(f"model/{fingerprint}" in row.models for row in forgotten(home.store.root.parent)):
        marks.append("learned from a forgotten document: train again")
    return tuple(marks)


def _judgements(home: Home) -> dict[str, Judgement]:
    found: dict[str, Judgement] = {}
    for manifest in (item for item in home.manifests() if item.dataset == "verdict"):
        path = home.store.folder(manifest.dataset, manifest.fingerprint) / RECORD
        record = json.loads(path.read_text("utf-8"))
        found[record["challenger"]] = Judgement(str(manifest), record)
    return found

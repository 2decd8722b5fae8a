"""Export a model for a server; what is written is loaded back and answers as the adapter does."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.engine.console import StageProgress, console
from flows.models.listing import system_prompt
from flows.models.loaded_model import base_model
from pipeline.core.cache import digest, write_atomically
from pipeline.core.errors import GateFailed, InputError
from pipeline.core.home import Home, whole
from pipeline.core.manifest import FileEntry
from pipeline.core.progress import listening
from pipeline.evaluate.measures.parity import Parity, Predictions, compare, predict
from pipeline.settings import ExportSettings, Settings
from pipeline.text.chat_template import prompt_ids, stop_ids
from pipeline.train.export.exporters import EXPORTERS, Exporter, Source, Written
from pipeline.train.export.merge import Stored, to_float32
from pipeline.train.export.streaming import fits, stream_adapter
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.base_model import load_tokenizer
from pipeline.train.models.device import choose_device
from pipeline.train.peak_memory import free_memory
from schemas.pairs import Examples

RECORD = "export.json"
COARSER: Mapping[str, int] = {"bfloat16": 8}
"""How much further than float16 a type may be off: it has 3 bits less. Divergence grows as the
square. Measured on the embedded model (QLoRA, 6 steps, 16 prompts): stored in float16 0.020 and
6e-6, in bfloat16 0.22 and 1e-3; to compute in bfloat16 changes the adapter itself by 0.99 and
1.4e-2, and a merged one by 0.69 and 7e-3."""
SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}  # the model has not seen test rows


def export(settings: Settings, model: str, form: str, folder: Path) -> dict[str, Any]:
    """Write a model in a form that servers load, proven to give the same answers as the adapter.

    The folder is new, empty, or one with the same export. Returns what export.json says, with
    ``folder``, ``base_folder`` (which ``next``, the command that serves it, names in braces) and
    ``reused``. A GateFailed where the form gives other answers: no folder is made then.
    """
    home = Home.at(settings.paths.home)
    dataset = home.model(model)
    base = base_model(settings)
    recipe = digest([dataset.content, base.digest, form, settings.export.model_dump(mode="json")])
    done = _present(folder, recipe)
    # Paths of this machine, which are told and not written down.
    places = {"folder": str(folder), "base_folder": str(base.path)}
    if done is not None:
        return done | places | {"reused": True}
    manifest = home.store.manifest(dataset.name, dataset.fingerprint)
    rows = home.store.read(home.dataset(manifest.inputs["from"]), Examples).to_dicts()
    rows.sort(key=lambda row: (SPLIT_ORDER[row["split"]], row["pair_id"]))
    tokenizer = load_tokenizer(base.path, base.thinking)
    asked = rows[: settings.export.prompts]
    prompts = [prompt_ids(tokenizer, row["messages"][:-1]) for row in asked]
    adapter = whole(home.store, dataset)
    temporary, scratch = (folder.with_name(f".{folder.name}.{what}") for what in ("tmp", "read"))
    source = Source(adapter, base, prompts, settings, scratch, system_prompt(home, dataset))
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with StageProgress("export") as bar, listening(bar, console.print):
            facts = _proven(EXPORTERS[form], source, temporary)
        record = {"model": str(dataset), "form": form, "base": base.name, "recipe": recipe} | facts
        if source.system_prompt:
            record["system_prompt"] = source.system_prompt
        record["files"] = _digests(temporary)
        write_atomically(temporary / RECORD, (json.dumps(record, indent=1) + "\n").encode())
        if folder.exists():
            folder.rmdir()  # empty, or _present had refused it
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
    return record | places | {"reused": False}


@dataclass(frozen=True, slots=True)
class Judged:
    """How far a form is from the adapter."""

    stored: Stored
    weights: Parity  # both computing in float32: what storing the weights has changed
    served: Parity | None = None
    """The form computing in the type it is stored in, as a server does; None: in float32 too."""

    def to_dict(self) -> dict[str, Any]:
        """Return what export.json says."""
        dtype = self.stored if self.served else "float32"
        served = asdict(self.served or self.weights) | {"dtype": dtype}
        return {"parity": asdict(self.weights), "parity_as_served": served}


def _proven(exporter: Exporter, source: Source, output: Path) -> dict[str, Any]:
    """Write a model and prove it; in the next type of the exporter where one is too coarse."""
    reference: Predictions | None = None
    for stored in exporter.types(source.base):
        shutil.rmtree(output, ignore_errors=True)
        written = exporter.write(source, output, stored)
        if written.load is None:
            return {"parity": None, **written.facts, "next": written.next}
        reference = reference or _reference(source)
        parity = _judge(source, reference, written)
        found = failures(parity, source.settings.export)
        if not found:
            return parity.to_dict() | {**written.facts, "next": written.next}
    raise GateFailed(
        f"export: {written.what} and adapter differ on {parity.weights.prompts} prompts: "
        f"{', '.join(found)}; expected the same model; nothing was exported: serve the "
        "adapter, or look at the [export] limits"
    )


def _reference(source: Source) -> Predictions:
    """Let the adapter answer in float32."""
    settings = source.settings
    tokenizer = load_tokenizer(source.base.path, source.base.thinking)
    try:
        if fits(source.base.path, "float32"):
            on_cpu = settings.model.model_copy(update={"device": "cpu"})
            model = to_float32(load_adapter(source.base, source.adapter, on_cpu)[0])
        else:
            model = stream_adapter(source.base, source.adapter, source.scratch)
        return predict(model, source.prompts, stop_ids(tokenizer), settings.export.new_tokens)
    finally:
        shutil.rmtree(source.scratch, ignore_errors=True)


def _judge(source: Source, reference: Predictions, written: Written) -> Judged:
    """Compare what was written with the adapter: its weights, and as a server computes with them.

    The second finds activations that leave the range of the type: a server takes it from the files.
    """
    load = written.load
    assert load is not None

    def parity(device: str, dtype: str) -> Parity:
        free_memory()
        return compare(reference, load(device, dtype))

    weights = parity("cpu", "float32")
    if written.stored == "float32" or not written.in_stored_type:
        return Judged(written.stored, weights)
    device = choose_device(source.settings.model)
    return Judged(written.stored, weights, parity(device, written.stored))


def failures(parity: Judged, limits: ExportSettings) -> list[str]:
    """Return by how much a form differs from the adapter more than the settings allow.

    Of a server's types only the divergence is judged: rounding moves logits far from any answer.
    """
    found, coarser = parity.weights, COARSER.get(parity.stored, 1)
    logits, kl = limits.max_logit_difference * coarser, limits.max_kl * coarser**2
    undecided = coarser > 1 and found.widest_flip <= logits
    changed = 0 if undecided else found.prompts - found.equal_prompts
    measured = [
        ("prompts with other greedy tokens", changed, limits.max_changed_prompts),
        ("largest logit difference", found.max_logit_difference, logits),
        ("largest KL divergence", found.max_kl, kl),
    ]
    if parity.served:
        name = f"largest KL divergence computing in {parity.stored}"
        measured.append((name, parity.served.max_kl, kl))
    above = [row for row in measured if not row[1] <= row[2]]  # a NaN, too
    return [f"{name} {value:.4g} (at most {limit:g})" for name, value, limit in above]


def _present(folder: Path, recipe: str) -> dict[str, Any] | None:
    """Return the record of the same export, None for room to write, or refuse."""
    if (folder / RECORD).is_file():
        record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
        if record.get("recipe") == recipe and record["files"] == _digests(folder):
            console.print(f"export                 reused {folder}", markup=False)
            return record
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"export: {folder} holds something else; expected a new or an empty folder; name "
            "another with --to, or delete it"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    return None


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != RECORD)
    return {entry.name: entry.sha256 for entry in (FileEntry.of(folder, path) for path in files)}

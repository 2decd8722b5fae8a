"""Plan a training: find the config, and estimate each method on each piece of hardware."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import SettingsError
from pipeline.settings import Settings
from pipeline.train.launch import Kind, launch_config, write_launch_config
from pipeline.train.methods import METHODS
from pipeline.train.models.embedded import NAME
from pipeline.train.plan.activations import Batch, full_batch
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.estimate import Plan, Work, plan, settings_for
from pipeline.train.plan.hardware import Hardware, card, this_machine
from pipeline.train.plan.shapes import Shape, read_folder, read_shape

USUAL_GPUS = ("t4", "l4", "a100-40", "a100-80", "h200")
"""Shown when none is named: each has more memory than the one before."""

NOT_SHARDED = (
    "the trainer shares the micro batches of a step and keeps the whole model in each process: an "
    "fsdp file starts the processes, and spreads no weights; plan for the whole model on each card"
)


@dataclass(frozen=True)
class Launch:
    """A configuration that was written, and the command that uses it."""

    file: Path
    command: str
    note: str = ""


@dataclass(frozen=True)
class Planned:
    """What `tuneloop plan` found."""

    shape: Shape
    batch: Batch
    work: Work
    hardware: tuple[Hardware, ...]
    plans: tuple[Plan, ...]
    launch: Launch | None


def make_plan(
    settings: Settings,
    *,
    base: str | None,
    methods: Sequence[str],
    gpus: Sequence[str],
    work: Work,
    measure: bool,
    launch: tuple[Kind, int, Path] | None,
) -> Planned:
    """Return the plans of the methods (all if none is named) on the hardware.

    Raises:
        SettingsError: a method, a graphics card or a setting is not known.
        TrainingError: there is no config of the base model.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise SettingsError(
            f"plan: method {', '.join(unknown)} is not known; expected some of "
            f"{', '.join(METHODS)}; correct --method"
        )
    shape = find_shape(base, settings)
    train = settings.train
    batch = full_batch(train, work.supervised_share)
    hardware = (this_machine(measure), *(card(name) for name in gpus or USUAL_GPUS))
    plans = tuple(
        plan(shape, settings_for(method, train, shape.hidden), batch, each, work)
        for method in methods or METHODS
        for each in hardware
    )
    written = None
    if launch is not None:
        kind, processes, file = launch
        place = hardware[1] if gpus else hardware[0]
        config = launch_config(kind, processes, place.kind == "cpu", shape.architecture)
        write_launch_config(config, file)
        changed = f"--set train.processes={processes} --set train.launch_config={file}"
        note = NOT_SHARDED if kind == "fsdp" else ""
        written = Launch(file, f"tuneloop run {changed}", note)
    return Planned(shape, batch, work, hardware, plans, written)


def find_shape(base: str | None, settings: Settings) -> Shape:
    """Return the shape of a base model by built-in name, folder or cached Hugging Face id.

    Raises:
        TrainingError: there is no config, or it is of another architecture.
    """
    wanted = base or settings.model.base_model
    sources = {known.source: name for name, known in CATALOGUE.items()}
    if wanted == "embedded":
        return read_shape(CATALOGUE["135m"].config, NAME)
    if (name := sources.get(wanted, wanted.lower())) in CATALOGUE:
        return read_shape(CATALOGUE[name].config, CATALOGUE[name].source)
    folder = Path(wanted).expanduser()
    if not folder.exists() and not folder.is_absolute() and wanted.count("/") == 1:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(wanted, "config.json", revision=settings.model.revision)
        if isinstance(found, str):
            folder = Path(found).parent
    return read_folder(folder)

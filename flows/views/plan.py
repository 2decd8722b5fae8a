"""Plan a training: find the config, estimate each method on each piece of hardware, print it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.box import HEAVY_HEAD, SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Column, Table

from pipeline.core.errors import SettingsError
from pipeline.report import words
from pipeline.settings import Settings
from pipeline.train.launch import Kind, launch_config
from pipeline.train.methods import METHODS
from pipeline.train.models.embedded import NAME
from pipeline.train.plan.activations import Batch, full_batch
from pipeline.train.plan.catalogue import CATALOGUE, built_in
from pipeline.train.plan.estimate import Plan, Work, plan, settings_for
from pipeline.train.plan.hardware import Hardware, card, this_machine
from pipeline.train.plan.memory import LITGPT, convention, total
from pipeline.train.plan.shapes import Shape, read_folder

USUAL_GPUS = ("t4", "l4", "a100-40", "a100-80", "h200")
"""Shown when none is named: each has more memory than the one before."""
SHARDED = (
    "each process holds its share of the frozen base; LoRA and its kin are trained so, and judged "
    "on one card, which holds the base whole"
)
GIGABYTE = 1e9
COLUMNS = {
    "weights": (
        "weights",
        "gathered blocks",
        "quantized weights",
        "trained weights",
        "rounded weights",
        "adapter",
    ),
    "gradients": ("gradients",),
    "optimizer": ("optimizer", "best step"),
    "pass": ("activations", "logits"),
    "other": ("workspace", "allocator", "runtime"),
}
"""Column of the overview -> items that are summed in it."""


@dataclass(frozen=True)
class Planned:
    """What `tuneloop plan` found."""

    shape: Shape
    batch: Batch
    work: Work
    hardware: tuple[Hardware, ...]
    plans: tuple[Plan, ...]
    launch: dict[str, str] | None
    """A configuration that was written (``file``), the ``command`` that uses it, and a ``note``."""


def make_plan(
    settings: Settings, base: str | None, methods: Sequence[str], gpus: Sequence[str],
    work: Work, measure: bool, launch: tuple[Kind, int, Path] | None,
) -> Planned:  # fmt: skip
    """Return the plans of the methods (all if none is named) on the hardware.

    A SettingsError where a method, a card or a setting is not known, a TrainingError where the
    base model has no config.
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise SettingsError(
            f"plan: method {', '.join(unknown)} is not known; expected some of "
            f"{', '.join(METHODS)}; correct --method"
        )
    shape = find_shape(base, settings)
    train = settings.train
    batches = {
        kind: full_batch(train, work.supervised_share, device)
        for kind, device in (("cpu", "cpu"), ("gpu", "cuda"))
    }
    hardware = (this_machine(measure), *(card(name) for name in gpus or USUAL_GPUS))
    shards = launch[1] if launch and launch[0] == "fsdp" else 1

    def planned(method: str, each: Hardware) -> Plan:
        of_method = settings_for(method, train, shape.hidden)
        cut = shards if of_method.targets else 1  # LoRA and its kin
        batch = batches[each.kind]
        return plan(shape, of_method, batch, each, work, settings.evaluate, cut)

    plans = tuple(planned(method, each) for method in methods or METHODS for each in hardware)
    written = None
    if launch is not None:
        kind, processes, file = launch
        on_cpu = hardware[1 if gpus else 0].kind == "cpu"
        file.write_text(launch_config(kind, processes, on_cpu, shape.block), "utf-8")
        changed = f"--set train.processes={processes} --set train.launch_config={file}"
        written = {"file": str(file), "command": f"tuneloop run {changed}"}
        written["note"] = SHARDED if kind == "fsdp" else ""
    return Planned(shape, batches[hardware[1].kind], work, hardware, plans, written)


def find_shape(base: str | None, settings: Settings) -> Shape:
    """Return the shape of a base model by built-in name, folder or id, or a TrainingError."""
    wanted = base or settings.model.base_model
    sources = {known.source: name for name, known in CATALOGUE.items()}
    if wanted == "embedded":
        return replace(built_in("135m"), name=NAME)
    if (name := sources.get(wanted, wanted.lower())) in CATALOGUE:
        return built_in(name)
    folder = Path(wanted).expanduser()
    if not folder.exists() and not folder.is_absolute() and wanted.count("/") == 1:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(wanted, "config.json", revision=settings.model.revision)
        if isinstance(found, str):
            folder = Path(found).parent
    return read_folder(folder)


def show(planned: Planned, *, itemised: bool, document: bool) -> None:
    """Print a plan on stdout: what it is of, memory item by item, what fits, warnings."""
    console = Console(highlight=False, soft_wrap=False)
    shape, batch, work = planned.shape, planned.batch, planned.work
    console.print(
        f"{shape.name}: {shape.parameters:,} parameters; passes of {batch.rows} x {batch.tokens} "
        f"tokens, {batch.supervised:,} supervised; {work.rows:,} rows of {work.row_tokens} tokens",
        soft_wrap=True,
    )
    first = planned.hardware[1]  # the first card: this machine stands before it
    on_first = [each for each in planned.plans if each.hardware == first.name]
    _print(console, (_items if itemised else _overview)(on_first, first.name))
    _print(console, _fits(planned))
    for each in planned.hardware:
        console.print(f"{each.name}: {each.memory / GIGABYTE:.1f} GB; {each.about}", soft_wrap=True)
    if document:
        title = "By the convention of documents"
        table = _table(title, *_numbers("GB"), "how it is counted")
        for row in convention(shape):
            table.add_row(row["method"], f"{row['gigabytes']:.0f}", row["formula"])
        _print(console, table)
        console.print(LITGPT, soft_wrap=True)
    warnings = [text for each in on_first for text in each.warnings]
    for text in dict.fromkeys(warnings):
        console.print(f"warning  {text}", style="yellow", soft_wrap=True)
    if made := planned.launch:
        console.print(f"made  {made['file']}\nrun   {made['command']}", soft_wrap=True)
        if made["note"]:
            console.print(made["note"], soft_wrap=True)


def _print(console: Console, table: Table) -> None:
    """Print a table whole: a number that is cut off is none, a line that wraps still is one."""
    whole = console.measure(table, options=console.options.update_width(1000)).maximum
    Console(width=max(console.width, whole), highlight=False).print(table)


def _table(title: str, *columns: Column | str, box: Box | None = HEAVY_HEAD) -> Table:
    return Table("method", *columns, title=title, title_justify="left", box=box)


def _numbers(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _overview(plans: list[Plan], hardware: str) -> Table:
    numbers = _numbers("rate", "trained", "share", *COLUMNS, "training", "judging")
    table = _table(f"Peak memory on {hardware}, GB", *numbers, box=SIMPLE_HEAD)
    for each in plans:
        sizes = {item.name: item.bytes for item in each.items}
        sums = (sum(sizes.get(name, 0) for name in names) for names in COLUMNS.values())
        first = each.method, f"{each.learning_rate:g}", _short(each.trainable), f"{each.share:.2%}"
        stages = (_gigabytes(total(part)) for part in (each.items, each.judging))
        table.add_row(*first, *map(_gigabytes, sums), *stages)
    return table


def _items(plans: list[Plan], hardware: str) -> Table:
    title = f"Peak memory on {hardware}, item by item, GB"
    table = _table(title, "item", *_numbers("GB"), "what it is")
    for each in plans:
        for stage, items in (("training", each.items), ("judging", each.judging)):
            for item in items:
                size = f"{item.bytes / GIGABYTE:.3f}"
                table.add_row(f"{each.method}, {stage}", item.name, size, item.about)
        about = f"{each.trainable:,} parameters trained, {each.share:.2%}"
        table.add_row(each.method, "peak", f"{each.peak / GIGABYTE:.3f}", about, end_section=True)
    return table


def _fits(planned: Planned) -> Table:
    title = "What fits: peak GB, time (rows a pass, where fewer)"
    names = [each.name for each in planned.hardware]
    table = _table(title, *_numbers(*names), box=SIMPLE_HEAD)
    found = {(each.method, each.hardware): each for each in planned.plans}
    for method in dict.fromkeys(each.method for each in planned.plans):
        table.add_row(method, *(_cell(found[method, name]) for name in names))
    return table


def _cell(found: Plan) -> str:
    taken = words.duration(found.seconds)
    if found.fits:
        fewer = f" ({found.micro_batch_size} a pass)" * (found.micro_batch_size < found.asked)
        return f"[green]{_gigabytes(found.peak)}, {taken}{fewer}[/green]"
    if found.micro_batch_size:
        rows = found.micro_batch_size
        return f"[yellow]{rows} row{'s' if rows > 1 else ''}, {taken}[/yellow]"
    return f"[red]no: {_gigabytes(found.peak)}[/red]"


def _gigabytes(size: float) -> str:
    return f"{size / GIGABYTE:.2f}" if size < 10 * GIGABYTE else f"{size / GIGABYTE:.1f}"


def _short(number: int) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.2f}{name}"
    return str(number)

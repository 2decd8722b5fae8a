"""Commands that plan trainings or choose among them: plan, compare, ablate, tune, sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.commands import DEFAULT_CONFIG, Options, command

if TYPE_CHECKING:
    from flows.views.plan import Planned
    from pipeline.report.contents import Report

COUNT = click.IntRange(1)


@click.command()
@click.option(
    "--methods", default="lora,qlora", show_default=True,
    help="Names with commas; the first is what the others are held against. all: every method.",
)  # fmt: skip
@click.option("--seeds", default=2, show_default=True, help="Trainings of each method.")
@click.option("--steps", default=0, help="Optimizer steps of each training [by the settings].")
@command
def compare(options: Options, methods: str, seeds: int, steps: int) -> None:
    """Train several methods on the same rows; show quality, forgetting, memory, time and size.

    Trains on what `tuneloop retrain` would train on, each method with its own preset. Promotes
    nothing. What is finished is reused: a further method or seed costs only itself.
    """
    from pipeline.train.methods import METHODS

    names = [name.strip() for name in methods.split(",") if name.strip()]
    names = list(METHODS) if names == ["all"] else names
    _show(options, options.launch("compare", methods=names, seeds=seeds, steps=steps))


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Trainings of each arm.")
@click.option("--steps", default=24, show_default=True, help="Optimizer steps of each training.")
@command
def ablate(options: Options, seeds: int, steps: int) -> None:
    """Does curation pay? Train on raw, screened and reviewed pairs, with the same steps.

    All three are judged on the same frozen test set. Promotes nothing.
    """
    _show(options, options.launch("ablate", seeds=seeds, steps=steps))


def _show(options: Options, report: "Report | None") -> None:
    from pipeline.report.compared import table

    assert report is not None and report.comparison is not None
    options.show(report, "", table(report.comparison))


@click.command()
@click.option("--model", default="challenger", show_default=True, help="Or champion, fingerprint.")
@click.option(
    "--apply", "scale", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Make the model of this scale, the new challenger, and let the gate judge it.",
)  # fmt: skip
@command
def sweep(options: Options, model: str, scale: float | None) -> None:
    """Measure validation loss and forgetting at several scales of an adapter.

    A cheap cure when a model forgot too much: less of its change. Nothing is trained and no test
    row is looked at.
    """
    from pipeline.core.record import as_json

    report = options.launch("sweep", model=model, scale=scale)
    from flows.sweep import read_frontier, table  # Prefect, which launch prepares for

    home = options.home()
    found = read_frontier(home.store.path(home.dataset("sweep")))
    lines = [*table(found), found.summary]
    if report is not None and report.gate is not None:
        lines.append(report.gate.summary)
    elif found.chosen not in (None, 1.0):
        lines.append(f"next         tuneloop sweep --model {model} --apply {found.chosen:g}")
    options.show(as_json(found) | {"gate": report.gate if report else None}, *lines)


@click.command()
@click.option("--apply", is_flag=True, help="Write the winner into the settings file's [train].")
@command
def tune(options: Options, apply: bool) -> None:
    """Choose method, rank, targets and learning rate by validation loss.

    Starts many short trainings on the rows that are accepted now and stops all but the best
    early, under the limits of memory, time and forgetting in [tune]. Killed, it goes on where it
    was; with more tune.trials or tune.budget_minutes it goes on further. The test set is not read.
    """
    from flows.engine.project import set_in_file
    from pipeline.core.errors import GateFailed, SettingsError
    from pipeline.report.compared import summary, toml_lines

    file: Path = options.config or DEFAULT_CONFIG
    if apply and not file.is_file():
        raise SettingsError(
            f"tune: {file} is not there; expected a settings file to write the winner into; name "
            "one with --config, make one with `tuneloop init DIR`, or leave --apply away"
        )
    report = options.launch("tune")
    assert report is not None and report.tuning is not None
    lines = [summary(report.tuning)]
    if apply and report.tuning.settings:
        set_in_file(file, "train", report.tuning.settings)
        lines.append(f"written into {file}")
    elif report.tuning.settings:
        lines += ["", *toml_lines(report.tuning)]
    options.show(report, *lines)
    if report.tuning.winner is None:
        raise GateFailed(
            "tune: no training ended within the limits; expected at least one; raise "
            "tune.budget_minutes, tune.trials, tune.max_gigabytes or tune.max_forgetting, and run "
            "again: what is finished is kept"
        )


@click.command()
@click.option(
    "--base", metavar="NAME",
    help="135m, 360m, 1.7b, 7b, qwen2.5-7b, 8b, 13b, 32b or 70b, a local folder, or a cached "
    "Hugging Face id [model.base_model].",
)  # fmt: skip
@click.option(
    "--method", "methods", multiple=True, metavar="NAME",
    help="Show this method item by item; again for more [all, in one table].",
)  # fmt: skip
@click.option(
    "--gpu", "gpus", multiple=True, metavar="NAME",
    help="t4, l4, a10g, rtx4090, a100-40, a100-80, h100, h200, ...; again for more [a selection].",
)  # fmt: skip
@click.option("--rows", default=1000, show_default=True, type=COUNT, help="To train on.")
@click.option("--row-tokens", default=256, show_default=True, type=COUNT, help="Of a row, mean.")
@click.option(
    "--supervised", default=1 / 3, show_default="a third",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the tokens that is trained: the answers.",
)  # fmt: skip
@click.option(
    "--measure", is_flag=True, help="Time this machine for a second; else its rate is assumed."
)
@click.option(
    "--convention", type=click.Choice(["document"]),
    help="Beside the estimate: 12 bytes a parameter and so on, as documents count.",
)  # fmt: skip
@click.option(
    "--launch", type=click.Choice(["ddp", "fsdp"]),
    help="Write the configuration of `accelerate launch` for several processes.",
)  # fmt: skip
@click.option("--processes", default=2, show_default=True, type=COUNT, help="With --launch.")
@click.option(
    "--output", default="accelerate.yaml", show_default=True,
    type=click.Path(path_type=Path, dir_okay=False), help="With --launch.",
)  # fmt: skip
@command
def plan(
    options: Options,
    base: str | None,
    methods: tuple[str, ...],
    gpus: tuple[str, ...],
    **asked: Any,
) -> None:
    """Estimate memory and time of each method before training, from the model's config alone.

    Batch, length, checkpointing and method come from the settings: change them with --set, such as
    --set train.max_tokens=2048. No weights are read, so a built-in 70B is planned in a second.
    """
    from flows.views import plan as flow
    from pipeline.train.plan.estimate import Work

    work = Work(asked["rows"], asked["row_tokens"], asked["supervised"])
    start = (asked["launch"], asked["processes"], asked["output"]) if asked["launch"] else None
    settings, document = options.settings(), asked["convention"] is not None
    planned = flow.make_plan(settings, base, methods, gpus, work, asked["measure"], start)
    if options.json:
        return options.show(_facts(planned, document))
    flow.show(planned, itemised=bool(methods), document=document)


def _facts(planned: "Planned", document: bool) -> dict[str, Any]:
    from pipeline.train.plan.memory import convention

    base = {"name": planned.shape.name, "parameters": planned.shape.parameters}
    names = ("batch", "work", "hardware", "plans", *(["launch"] if planned.launch else []))
    found = {"base": base} | {name: getattr(planned, name) for name in names}
    return found | ({"document": convention(planned.shape)} if document else {})

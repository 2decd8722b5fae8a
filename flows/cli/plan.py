"""The command `tuneloop plan`: memory and time of a training before it starts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from flows.cli.commands import Options, command

if TYPE_CHECKING:
    from flows.views.plan import Planned


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
@click.option(
    "--rows", default=1000, show_default=True, type=click.IntRange(1), help="To train on."
)
@click.option(
    "--row-tokens", default=256, show_default=True, type=click.IntRange(1), help="Of a row, mean."
)
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
@click.option(
    "--processes", default=2, show_default=True, type=click.IntRange(1), help="With --launch."
)
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
    measure: bool,
    convention: str | None,
    launch: Literal["ddp", "fsdp"] | None,
    **sizes: Any,
) -> None:
    """Estimate memory and time of each method before training, from the model's config alone.

    Batch, length, checkpointing and method come from the settings: change them with --set, such as
    --set train.max_tokens=2048. No weights are read, so a built-in 70B is planned in a second.
    """
    from flows.views import plan as flow
    from pipeline.train.plan.estimate import Work

    planned = flow.make_plan(
        options.settings(),
        base=base,
        methods=methods,
        gpus=gpus,
        work=Work(sizes["rows"], sizes["row_tokens"], sizes["supervised"]),
        measure=measure,
        launch=(launch, sizes["processes"], sizes["output"]) if launch else None,
    )
    if options.json:
        options.show(_facts(planned, convention is not None))
        return
    flow.show(planned, itemised=bool(methods), document=convention is not None)


def _facts(planned: "Planned", document: bool) -> dict[str, Any]:
    from pipeline.train.plan.convention import convention

    found = {
        "base": {"name": planned.shape.name, "parameters": planned.shape.parameters},
        "batch": planned.batch,
        "work": planned.work,
        "hardware": planned.hardware,
        "plans": planned.plans,
    }
    found |= {"document": list(convention(planned.shape))} if document else {}
    return found | ({"launch": planned.launch} if planned.launch else {})

"""Commands that take data out of a home: forget, gc."""

from typing import Any

import click

from flows.cli.commands import Options, command


@click.command()
@click.argument("document", metavar="DOC")
@click.option("--yes", is_flag=True, help="Remove it; else it is only shown what holds it.")
@command
def forget(options: Options, document: str, yes: bool) -> None:
    """Take a DOC (its id, or its path below the input folder) out of the home for good.

    Shows what holds it or quotes it: rows, read files, replies, reviews, reports, logs, tasks of
    Label Studio; with --yes that is removed and the text is refused from then on. Models cannot
    unlearn it: those that were trained on it are named and marked. Files of yours (input, gold
    rows, exports) are never written to. Stop `tuneloop up` and `tuneloop serve` before it.
    """
    from flows.housekeeping.forget import forget as take_out

    facts = take_out(options.settings(), document, yes)
    options.show(facts, *_lines(facts, yes))


@click.command()
@click.option("--keep-runs", type=click.IntRange(min=1), help="Delete all but so many runs too.")
@click.option("--yes", is_flag=True, help="Delete; else it is only shown what would go.")
@command
def gc(options: Options, keep_runs: int | None, yes: bool) -> None:
    """Delete data sets that nothing leads to: no ref, no run, no model that may come back.

    What was read and replied is kept: it was paid for. A data set that goes is made again when a
    run needs it.
    """
    from flows.housekeeping.collect import collect

    facts = collect(options.settings(), keep_runs, yes)
    verb = "deleted" if yes else "would go"
    gone = [*facts["datasets"], *(f"runs/{name}" for name in facts["runs"])]
    size = f"{facts['bytes'] / 1e6:.1f} MB"
    lines = [f"{verb:<9} {name}" for name in gone]
    advice = "" if yes or not gone else "; delete with --yes"
    lines.append(f"{verb:<9} {len(gone)} folders, {size}; {facts['kept']} data sets stay{advice}")
    options.show(facts, *lines)


def _lines(facts: dict[str, Any], yes: bool) -> list[str]:
    named = zip(facts["documents"], facts["sources"], strict=False)
    lines = [f"document   {key}  {source}" for key, source in named]
    verb = "removed" if yes else "held by"
    lines += [f"{verb:<10} {place}  {count}" for place, count in facts["held"].items()]
    if not facts["held"]:
        lines.append("nothing in this home holds it")
    lines += [f"learned by {model}: train again, `tuneloop retrain`" for model in facts["models"]]
    if facts["near"]:
        lines.append(f"stays      near copies and other versions: {', '.join(facts['near'])}")
    if facts["done"]:
        return [*lines, "refused    from now on; its file, and exports that you made, are yours"]
    return [*lines, "next       remove it with --yes"]

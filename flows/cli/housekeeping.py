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
    rows, exports) are never written to.
    """
    from flows.housekeeping.forget import forget as take_out

    facts = take_out(options.settings(), document, yes)
    options.show(facts, *_lines(facts, yes))


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

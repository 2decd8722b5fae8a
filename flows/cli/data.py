"""Commands about what a home holds: show, trace, fsck, forget, gc, promote, rollback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flows.cli.commands import Options, command

if TYPE_CHECKING:
    from pipeline.core.home import Home
    from pipeline.core.registry import Ref


@click.command()
@click.argument("dataset", required=False)
@click.argument("kind", required=False)
@click.option("-n", "count", default=5, show_default=True, help="Rows to show.")
@click.option("--dropped", is_flag=True, help="Show the ledger of dropped rows instead.")
@click.option("--near", is_flag=True, help="With duplicates: the pairs nearest to the threshold.")
@click.option("--left-out", is_flag=True, help="With documents: what was left out of each.")
@command
def show(options: Options, dataset: str | None, kind: str | None, count: int, **flag: bool) -> None:
    """Show rows of a DATASET (name, or name/fingerprint); without one, list what there is.

    `show duplicates` puts each removed document beside the one that stays for it, with their
    similarity and the words in which they differ; with --near it shows the pairs that a slightly
    other dedup.threshold would decide otherwise.

    `show coverage` says which documents and sections have pairs, of which kinds, and why others
    have none. `show prompts` prints the words a strong teacher is asked with, `show prompts fact`
    those of one kind: copy them into the folder of `paths.prompts` to change them.

    `show screens` has precision and recall of each screen on labelled pairs that are held out.

    `show documents --left-out` counts what of each document is not in its text: navigation, hidden
    text, pictures, pages that need OCR, what the reader of a format could not read.
    """
    from flows.views import coverage, examples, reviews
    from flows.views.duplicates import duplicates

    if dataset == "prompts":
        return _show_prompts(options, kind)
    if kind:
        raise click.UsageError("a second argument goes with `show prompts` only")
    if dataset == "screens":
        rows = reviews.screen_rows(options.settings().screen)
        return options.show({"rows": rows}, *map(reviews.screen_line, rows))
    home, lines = options.home(), _row_lines
    if dataset == "coverage":
        found = coverage.coverage_of(home)
        told = (line for covered in found for line in coverage.lines_of(covered))
        return options.show({"rows": [covered.to_dict() for covered in found]}, *told)
    if dataset == "duplicates":
        rows, lines = duplicates(home, flag["near"], count), _pair_lines
    elif flag["near"]:
        raise click.UsageError("--near goes with `show duplicates` only")
    elif flag["left_out"]:
        documents = home.dataset(dataset or "documents")
        rows = examples.left_out_by_document(home, documents, count)
        lines = examples.left_out_lines
    elif dataset is None:
        rows = [
            {"dataset": name, "fingerprint": item.fingerprint, "rows": item.rows}
            for name, item in home.latest().items()
        ]
        lines = _dataset_lines
    else:
        rows = home.rows(home.dataset(dataset), flag["dropped"]).head(count).to_dicts()
    options.show({"rows": rows}, *(line for row in rows for line in lines(row)))


def _show_prompts(options: Options, kind: str | None) -> None:
    from pipeline.pairs.kinds.brief import read_prompts

    prompts = read_prompts(options.settings().paths.prompts)
    if kind not in (None, *prompts):
        raise click.UsageError(f"show prompts: {kind} found; expected one of {', '.join(prompts)}")
    chosen = {name: prompt for name, prompt in prompts.items() if kind in (None, name)}
    told = {name: {"version": item.version, **item.parts} for name, item in chosen.items()}
    lines = []
    for item in chosen.values():
        lines.append(click.style(item.version, bold=True))
        lines += [f"# {part.capitalize()}\n\n{text}\n" for part, text in item.parts.items()]
    options.show(told, *lines)


@click.command()
@click.argument("identifier", metavar="ID")
@command
def trace(options: Options, identifier: str) -> None:
    """Follow a document, chunk or pair by its ID, or a document by its path below the input.

    Up to its source, and down: what was made of it and what reviewers said. The models are all
    that were trained on it, also when the latest datasets do not have it.
    """
    from flows.views.trace import trace as follow

    story = follow(options.home(), identifier)
    dropped = {f"dropped from {name}": row for name, row in story["dropped"].items()}
    lines = []
    for name, row in (story["found"] | dropped).items():
        lines += [click.style(name, bold=True), *_row_lines(row)]
    if story["place"]:
        lines.append(f"taken from: {story['place']['label']}")
    lines += [click.style("pairs", bold=True), *map(_pair_line, story["pairs"]), ""]
    lines.append(f"trained into: {', '.join(story['models']) or 'no model'}")
    options.show(story, *lines)


@click.command()
@command
def fsck(options: Options) -> None:
    """Hash every stored file again and compare with the manifests; exit 2 when one differs."""
    from pipeline.core.errors import CorruptDataset
    from pipeline.core.home import fsck as verify

    home = options.home()
    problems = verify(home)
    datasets = len(home.manifests())
    whole = () if problems else (f"{datasets} datasets are whole",)
    options.show({"datasets": datasets, "problems": problems}, *whole)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise CorruptDataset(
            f"fsck: {len(problems)} files differ from their manifests; expected none; delete "
            "their folders and run again: they will be made anew"
        )


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
    options.show(facts, *_forget_lines(facts, yes))


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


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the log.")
@command
def promote(options: Options, reason: str) -> None:
    """Make the challenger champion by hand, and show what the gate had said of it."""
    from flows.models.listing import judgement
    from pipeline.core.errors import InputError
    from pipeline.core.journal import now
    from pipeline.core.registry import CHALLENGER, CHAMPION

    with _changing(options) as home:
        challenger = home.registry.dataset(CHALLENGER, home.store)
        if challenger is None:
            raise InputError(
                "promote: no challenger found; expected one; train with `tuneloop run`"
            )
        found = judgement(home, challenger)
        ref = home.registry.point(
            CHAMPION, challenger, f"by hand: {reason}", now(), found.evidence if found else None
        )
    said = found.summary if found else "nothing: this model was not judged"
    options.show(ref.model_dump() | {"gate": said}, f"gate said    {said}", _ref_line(ref))


@click.command()
@click.option("--reason", required=True, help="Why; it goes into the log.")
@command
def rollback(options: Options, reason: str) -> None:
    """Bring back the champion before the current one."""
    from pipeline.core.journal import now

    with _changing(options) as home:
        ref = home.registry.rollback(home.store, f"rollback: {reason}", now())
    options.show(ref, _ref_line(ref))


@contextmanager
def _changing(options: Options) -> "Iterator[Home]":
    """Hold the lock of the home folder, and tell MLflow of the champion at the end."""
    from flows.engine.home import locked
    from flows.engine.tracking import mirror
    from pipeline.core.home import Home

    settings = options.settings()
    home = Home.at(settings.paths.home)
    with locked(settings.paths.home):
        yield home
        mirror(settings)


def _row_lines(row: dict[str, Any]) -> list[str]:
    return [*(f"  {key:<18} {value}" for key, value in row.items()), ""]


def _dataset_lines(row: dict[str, Any]) -> list[str]:
    return [f"{row['dataset']:<24} {row['fingerprint']}  {row['rows']:>8,} rows"]


def _pair_lines(row: dict[str, Any]) -> list[str]:
    head = f"{row['verdict']}  {row['similarity']:.4f} (threshold {row['threshold']:g})"
    pair = f"  - {row['document']}  {row['doc_id']}", f"  + {row['survivor']}  {row['related_id']}"
    return [click.style(head, bold=True), *pair, *(f"      {line}" for line in row["differences"])]


def _pair_line(pair: dict[str, Any]) -> str:
    reached = f"dropped: {pair['dropped']}" if pair.get("dropped") else pair["reached"]
    facts = [pair.get("kind"), pair.get("split"), pair.get("status"), reached, *pair["reviews"]]
    return f"  {pair['pair_id']}  {'  '.join(filter(None, facts))}"


def _ref_line(ref: "Ref") -> str:
    return f"champion     {ref.name}/{ref.fingerprint}  ({ref.reason})"


def _forget_lines(facts: dict[str, Any], yes: bool) -> list[str]:
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

"""Documents to splits: gold rows find their documents, and a trained model's splits stay."""

from collections.abc import Mapping
from math import ceil

from flows.engine.context import Run, say
from pipeline.core.cache import digest
from pipeline.core.errors import MissingDataset
from pipeline.core.outcome import Drop
from pipeline.core.registry import CHALLENGER
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.dedup.families import BONDS, FEWEST
from pipeline.pairs.assignment import FEW
from pipeline.pairs.gold import EXPECTED, LOCATE, read_row
from pipeline.pairs.split import SPLIT
from pipeline.pairs.user_files import read_rows, stop_if_mostly_bad
from pipeline.settings import Settings


def check_gold(settings: Settings) -> None:
    """Read the gold file before anything long; an InputError shows one row if most are bad."""
    path = settings.paths.gold
    if path is not None:
        rows = [read_row(row) for row in read_rows(path)]
        bad = [f"{row.reason}: {row.excerpt}" for row in rows if isinstance(row, Drop)]
        stop_if_mostly_bad(str(path), bad, len(rows), EXPECTED)


def locate_gold(run: Run, raw: Dataset, documents: Dataset, chunks: Dataset) -> Dataset | None:
    """Read the gold file and find the document of each row; None without a file."""
    path = run.settings.paths.gold
    if path is None:
        return None
    rows = read_rows(path)
    gold = run(
        LOCATE,
        rows=Given(rows, digest(rows)),
        documents=documents,
        duplicates=Given(run.store.read_dropped(documents)),
        raw=raw,
        chunks=chunks,
        name=Given(path.name),
    )
    found = run.store.manifest(gold.name, gold.fingerprint).facts.metrics
    if found["searched"] or found["alone"]:
        say(
            f"locate gold: {found['named']:,.0f} rows name their document, that of "
            f"{found['searched']:,.0f} was found by their words, {found['alone']:,.0f} stand alone"
        )
    return gold


def split_documents(run: Run, documents: Dataset, chunks: Dataset, gold: Dataset | None) -> Dataset:
    """Assign the documents, and say what the test set will be before anything costs much."""
    settings = run.settings
    before = _assigned_before(run, {"documents": documents, "chunks": chunks, "gold": gold})
    splits = run(SPLIT, documents=documents, chunks=chunks, gold=gold, previous=before)
    found = run.store.manifest(splits.name, splits.fingerprint).facts.metrics
    if found["sections"]:
        enough = ceil(FEW / settings.split.test) if settings.split.test else FEWEST
        if settings.split.unit == "section":
            why = "as split.unit asks"
        elif documents.rows < enough:
            why = f"since there are fewer than {enough} documents"
        else:
            why = "as the data of the trained model was"
        say(f"split: by section, {found['sections']:,.0f} of them, {why}")
    if found["bond"] > BONDS[0]:
        say(
            f"split: most pages share more than {BONDS[0]:.0%} of their content, so only those "
            f"that share {found['bond']:.0%} are kept in one split"
        )
    unit = "sections" if found["sections"] else "documents"
    least = settings.gate.min_test_clusters
    places = [f"{found[f'gold_{name}']:,.0f} in {name}" for name in ("validation", "train")]
    others = f" ({', '.join(places)})" if gold is not None else ""
    say(
        f"split: the test set has {found['test_families']:,.0f} independent {unit}, with "
        f"{found['gold_test']:,.0f} gold rows of {found['gold_documents']:,.0f} of them{others}; "
        f"the nearest train {unit.removesuffix('s')} shares {found['closest']:.0%} with one of them"
    )
    if found["test_families"] < least:
        say(
            f"split: the gate asks for {least} independent {unit} behind the test rows "
            "(gate.min_test_clusters), so no model can be promoted yet; add documents"
            + ("" if found["sections"] else ', or take split.unit = "section"')
        )
    return splits


def _assigned_before(run: Run, inputs: Mapping[str, Dataset | None]) -> Dataset | None:
    """Return the splits that a model has learned from, so that no document moves.

    None before the first training, or where a setting that they were made with is another now.
    Where they were made of these very inputs it is what they were made from: runs can be repeated.
    """
    if run.registry.get(CHALLENGER) is None:
        return None
    try:
        latest = run.registry.dataset(f"dataset/{SPLIT.dataset}", run.store)
    except MissingDataset:
        return None
    if latest is None:
        return None
    manifest = run.store.manifest(latest.name, latest.fingerprint)
    recipe = run.settings.split.recipe()
    if any(recipe.get(name) != value for name, value in manifest.settings.items()):
        return None
    names = [name for name in (*inputs, "previous") if name in manifest.inputs]
    before = {name: run.store.find(*manifest.inputs[name].split("/")) for name in names}
    made_from = {name: known.content for name, known in before.items() if known}
    made_from.pop("previous", None)
    same = made_from == {name: dataset.content for name, dataset in inputs.items() if dataset}
    is_repeated = same and manifest.code.get("modules") == SPLIT.modules()
    return before.get("previous") if is_repeated else latest

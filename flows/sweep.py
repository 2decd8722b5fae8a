"""A cheap cure for forgetting: how much of the adapter to keep, and a model with just that."""

import json
from pathlib import Path
from typing import cast

from pandera.typing.polars import DataFrame
from prefect import flow

from flows.curate import CORPUS, Corpus
from flows.engine.context import Run, open_run, say
from flows.models.loaded_model import LoadedModel, base_model
from flows.retention import general_scores
from flows.run import train_and_judge
from flows.training import TrainingData
from flows.views.cards import documents_in
from flows.views.report import write_report
from pipeline.core.cache import digest
from pipeline.core.errors import InputError, MissingDataset
from pipeline.core.home import Home, ancestors
from pipeline.core.journal import now
from pipeline.core.manifest import content_digest
from pipeline.core.record import read_json
from pipeline.core.registry import CHALLENGER
from pipeline.core.stage import Given
from pipeline.core.store import Dataset
from pipeline.dedup.decontaminate import check_leaks
from pipeline.evaluate.retention.forgetting import read_general_set
from pipeline.evaluate.retention.frontier import Frontier, frontier, measure_scales
from pipeline.evaluate.stages import FORGETTING, SWEEP, SWEPT
from pipeline.report.contents import Report
from pipeline.settings import Settings
from pipeline.train.export.scale import check_scalable
from pipeline.train.stages import SCALE
from schemas.evaluation import GeneralScores
from schemas.pairs import Examples, SettledPairs


@flow(name="sweep")
def sweep(
    settings: Settings, model: str = "challenger", scale: float | None = None
) -> Report | None:
    """Measure a model at several scales; with a scale, make that model and let the gate judge it.

    ``model``: champion, challenger or a fingerprint; what is made is the new challenger. InputError
    without model, general set or validation rows, TrainingError for a method without a scale.
    """
    with open_run("sweep", settings) as run:
        home = Home(run.store, run.registry)
        adapter = home.model(model)
        check_scalable(run.store.path(adapter))
        base = base_model(settings)
        with LoadedModel(base, settings.model, run.store) as loaded:
            found = measure(run, loaded, adapter)
        say(f"sweep: {found.summary}")
        if scale is None:
            return None
        smaller = make_scaled(run, adapter, scale)
        run.registry.point(CHALLENGER, smaller, f"scale {scale:g} of {adapter}", now())
        origin = home.dataset(home.store.manifest(adapter.name, adapter.fingerprint).inputs["from"])
        (pairs,) = (item for item in ancestors(home, origin) if item.dataset == "clean_pairs")
        clean = home.dataset(str(pairs))
        leaks = len(check_leaks(home.store.read(clean, SettledPairs)))
        data = TrainingData(clean, origin, leaks)
        corpus = _documents_behind(home, origin)
        return write_report(run, train_and_judge(run, base, corpus, data, smaller))


def _documents_behind(home: Home, examples: Dataset) -> Corpus:
    """Return the corpus that examples come from; MissingDataset where a part is gone."""
    found = list(ancestors(home, examples))
    stages = documents_in(found)
    unique = str(stages[-1]) if stages else ""
    # Gold rows alone lead to documents and splits: their chunks are what else was made of them.
    parts = {
        item.dataset: item
        for item in [*home.manifests(), *reversed(found)]
        if item.inputs.get("documents") == unique
    } | {item.dataset: item for item in stages}
    missing = [name for name in CORPUS if name not in parts]
    if missing:
        raise MissingDataset(
            f"sweep: no {', '.join(missing)} found behind {examples}; expected what its model was "
            "trained and judged on; make it again with `tuneloop run`, or leave --apply away"
        )
    return Corpus(*(home.dataset(str(parts[name])) for name in CORPUS))


def measure(run: Run, loaded: LoadedModel, model: Dataset) -> Frontier:
    """Measure a model at each of ``forgetting.scales``, or take what was measured before."""
    settings = run.settings
    folder = settings.paths.general
    if folder is None:
        raise InputError(
            "sweep: no general set found (paths.general is empty); expected the texts that "
            "forgetting is measured on; set paths.general"
        )
    general = read_general_set(folder)
    examples = run.store.manifest(model.name, model.fingerprint).inputs["from"]
    rows = run.store.read(Home(run.store, run.registry).dataset(examples), Examples)
    validation = cast("DataFrame[Examples]", rows.filter(split="validation"))
    before = general_scores(run, FORGETTING.named("forgetting base"), loaded, general, None)
    texts = run.store.read(before, GeneralScores).filter(kind="text")
    base_loss = float((texts["loss"] * texts["tokens"]).sum()) / int(texts["tokens"].sum())
    scales, max_forgetting = settings.forgetting.scales, settings.gate.max_forgetting
    prose, evaluation = list(general.texts.values()), settings.evaluate

    def swept() -> Frontier:
        held = loaded.get(model)
        points = measure_scales(scales, *held, validation, prose, base_loss, evaluation)
        return frontier(points, max_forgetting, str(model))

    dataset = run(
        SWEEP,
        file=Given(SWEPT),
        record=Given(swept),
        rows=Given(len(scales)),
        validation=content_digest(validation),
        texts=digest(dict(general.texts)),
        general_base=before,
        also={"scales": list(scales), "max_forgetting": max_forgetting},
        base=loaded.base.digest,
        adapter=model.content,
        parents={"model": model},
    )
    return read_frontier(run.store.path(dataset))


def read_frontier(folder: Path) -> Frontier:
    """Read what a sweep measured."""
    return read_json(Frontier, json.loads((folder / SWEPT).read_text("utf-8")))


def table(found: Frontier) -> list[str]:
    """Return the frontier as lines of a table."""
    lines = [f"{'scale':>7}{'validation loss':>18}{'rise':>9}  limit {found.limit:g}"]
    for point in found.points:
        marks = "within" if point.rise <= found.limit else "above"
        marks += ", dominated" if point.dominated else ""
        marks += ", <- this one" if point.scale == found.chosen else ""
        lines.append(f"{point.scale:>7g}{point.validation_loss:>18.3f}{point.rise:>+9.3f}  {marks}")
    return lines


def make_scaled(run: Run, model: Dataset, scale: float) -> Dataset:
    """Store a scaled copy of a model, with the model and its examples as its lineage."""
    manifest = run.store.manifest(model.name, model.fingerprint)
    examples = Home(run.store, run.registry).dataset(manifest.inputs["from"])
    return run(
        SCALE,
        adapter=Given(run.store.path(model), model.content),
        factor=Given(scale),
        rows=Given(manifest.facts.rows),
        base=manifest.inputs["base"],
        also=manifest.settings | {"scale": scale},
        parents={"of": model, "from": examples},
    )

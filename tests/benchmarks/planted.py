"""Planted challengers: placebos and models with swapped facts, really trained, before the gate.

    python -m tests.benchmarks.planted HOME [--seeds N] [--kind placebo|swapped|right] [--untrained]

HOME is the home folder of a finished `tuneloop run`; it is copied first. Each model is trained on
the rows of that run, as planted, and judged as if it were the first one.
"""

import argparse
import os
import re
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from flows.engine import environment

environment.prepare(Path(tempfile.gettempdir()))

from prefect import flow  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    temporary_settings,
)

from flows.engine.context import open_run  # noqa: E402
from flows.judging import look_at_answers  # noqa: E402
from flows.models.loaded_model import base_model  # noqa: E402
from flows.run import train_and_judge  # noqa: E402
from flows.services.prefect import prefect_server  # noqa: E402
from flows.training import latest_data, train_model  # noqa: E402
from pipeline.core.cache import short_id  # noqa: E402
from pipeline.core.outcome import Outcome, drops  # noqa: E402
from pipeline.core.stage import Given, Stage  # noqa: E402
from pipeline.settings import Settings  # noqa: E402
from pipeline.train.placebo import deal_answers  # noqa: E402
from pipeline.train.stages import TRAIN  # noqa: E402
from schemas.pairs import Examples  # noqa: E402

SWAPPED = 5
"""Of one answer in so many each number and name is that of another row."""

FACT = re.compile(r"\d+(?:[.,]\d+)*|(?<=[a-z] )[A-Z]\w+")


def planted(examples: Any, kind: str, seed: int) -> Outcome[Examples]:
    """Return the rows that a planted model learns from."""
    if kind == "placebo":
        return deal_answers(examples, seed)
    rows = examples.to_dicts()
    facts = [fact for row in rows for fact in FACT.findall(row["messages"][-1]["content"])]
    for row in rows if kind == "swapped" else []:
        mark = int(short_id(str(seed), row["pair_id"]), 16)
        if row["split"] != "test" and mark % SWAPPED == 0:
            answer = row["messages"][-1]
            other = facts[mark % len(facts)]
            answer["content"] = FACT.sub(lambda _, fact=other: fact, answer["content"])
    column = pl.Series("messages", [row["messages"] for row in rows], examples.schema["messages"])
    return Outcome(examples.with_columns(column), drops([]), rows_in=examples.height)


@flow(name="run")
def judge_planted(settings: Settings, kind: str, seed: int, untrained: bool) -> None:
    """Train one planted model, judge it, and print what the gate says; or only of its rows."""
    seeded = settings.model_copy(update={"train": settings.train.model_copy(update={"seed": seed})})
    with open_run("run", seeded) as run:
        corpus, _, data = latest_data(run)
        base = base_model(seeded)
        stage = Stage("plant", planted, Examples, {"examples": Examples}, dataset="planted")
        rows = run(
            stage, examples=data.examples, kind=Given(kind, kind), seed=Given(seed, str(seed))
        )
        if untrained:
            taught = look_at_answers(run, data.pairs, rows, corpus.chunks)
            print(f"PLANTED {kind} {seed}: {taught.supported} of {taught.rows} answers stand")
            return
        model = train_model(replace(run, settings=seeded), base, rows, TRAIN.named("train planted"))
        found = train_and_judge(run, base, corpus, data, model)
    right = {arm: f"{scores['correct'].value:.2f}" for arm, scores in found.evaluation.arms.items()}
    failed = [reason.name for reason in found.verdict.reasons if not reason.passed]
    print(f"PLANTED {kind} {seed}: promoted {found.verdict.promoted}; {right}; failed {failed}")


def main() -> None:
    """Judge planted models of all seeds."""
    from tests.benchmarks import planted as named  # a stage's code is known by its module

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--kind", choices=["placebo", "swapped", "right"], default="placebo")
    parser.add_argument("--untrained", action="store_true", help="look at the rows alone")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(prefect_server(Path(folder)))()
        # Prefect read its settings when it was imported, above.
        names = (PREFECT_API_URL, PREFECT_API_AUTH_STRING)
        stack.enter_context(temporary_settings({name: os.environ[name.name] for name in names}))
        home = Path(folder) / "home"
        shutil.copytree(chosen.home, home)
        settings = Settings.model_validate({"paths": {"home": home}})
        for seed in range(101, 101 + chosen.seeds):
            (home / "monitor" / "looks.jsonl").unlink(missing_ok=True)
            shutil.rmtree(home / "refs" / "model", ignore_errors=True)
            named.judge_planted(settings, chosen.kind, seed, chosen.untrained)


if __name__ == "__main__":
    main()

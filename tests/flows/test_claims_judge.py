"""A judge of claims in a project: priced before, shown first, and a screen once people agree."""

import hashlib
import shutil

import polars as pl
import pytest
from prefect import flow

from flows.engine.context import open_run
from flows.synthesize import synthesize
from pipeline.core.cache import digest
from pipeline.core.home import Home
from pipeline.core.outcome import drops, table
from pipeline.core.stage import Given
from pipeline.pairs.review import REVIEW
from pipeline.settings import Settings
from schemas.pairs import Reviews
from tests.conftest import ROOT
from tests.flows.test_brief import growers
from tests.pipeline.pairs.endpoint_server import chat, serving

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("prefect")]


def faulty(answer):
    return int(hashlib.sha256(answer.encode()).hexdigest(), 16) % 3 == 0


def judge(number, body):
    answer = body["messages"][-1]["content"].rsplit("\n\nAnswer: ", 1)[1]
    return chat(f"{'UN' if faulty(answer) else ''}SUPPORTED: all of it\nANSWERS")


@flow
def decide(settings, rows):
    """Take decisions in, as `tuneloop run` does before it settles."""
    reviews = table(Reviews, rows)
    with open_run("review", settings) as run:
        given = Given(reviews, digest(rows))
        run(REVIEW, reviews=given, bounced=Given(drops([])))


def test_it_is_priced_then_shown_then_a_screen(tmp_path, tiny_base, capsys):
    folder = tmp_path / "raw"
    folder.mkdir()
    for page in sorted((ROOT / "data/samples/manual").glob("*.md"))[:8]:
        shutil.copy(page, folder)
    with serving(growers) as teacher, serving(judge) as judging:
        endpoint = {"kind": "openai", "model": "m", "base_url": teacher.url}
        settings = Settings.model_validate(
            {
                "paths": {"input": folder, "home": tmp_path / "home", "gold": None},
                "compute": {"runner": "inline"},
                "model": {"base_model": str(tiny_base.path)},
                "teacher": endpoint,
                "generate": {"self_instruct_tasks": 0, "target": 0},
                "judge": {"model": "j", "base_url": judging.url, "min_decisions": 6},
            }
        )
        synthesize(settings, dry_run=True)
        said = capsys.readouterr()
        assert "; of the judge about " in said.out + said.err
        first = synthesize(settings)
        assert first and "stay: the judge does not count yet" in first.coverage.judge
        home = Home.at(settings.paths.home)
        pairs = home.rows(home.dataset("screened_pairs"))
        pairs = pairs.filter(pl.col("kind") != "not_in_documents")
        bad = [faulty(answer) for answer in pairs["response"]]
        assert any(bad) and not all(bad) and len(bad) >= 6
        rows = [
            dict.fromkeys(("edited_instruction", "edited_response", "seconds"))
            | {
                "pair_id": pair, "verdict": "reject" if wrong else "accept", "note": "",
                "flags": ["not_grounded"] if wrong else [], "reviewer": "ann",
                "decided_at": "2026-11-30T09:00:00Z",
            }
            for pair, wrong in zip(pairs["pair_id"], bad, strict=True)
        ]  # fmt: skip
        decide(settings, rows)
        asked = len(judging.bodies)
        second = synthesize(settings)
        assert second and "were left out (kappa 1.00" in second.coverage.judge
        assert len(judging.bodies) == asked, "a verdict was asked for twice"
        kept = home.rows(home.dataset("screened_pairs")).filter(origin="grounded")
        gone = home.rows(home.dataset("screened_pairs"), dropped=True)
        judged = kept.filter(pl.col("kind") != "not_in_documents")  # whose claim is of all
        assert judged.height and not any(map(faulty, judged["response"]))
        assert gone.filter(reason="unsupported_claim").height >= sum(bad)

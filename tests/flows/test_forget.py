"""`tuneloop forget`: no byte of a document's text stays in the home, and it is kept out."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys

import polars as pl
import pytest
from filelock import FileLock
from prefect import flow

from flows.cli.main import main
from flows.curate import curate
from flows.engine.context import open_run
from flows.engine.settings_file import dump_settings
from flows.housekeeping.forget import forget
from flows.housekeeping.held import held_by
from flows.models.listing import entries
from flows.models.loaded_model import base_model
from flows.services.running import Up, record
from flows.training import latest_data, train_model
from pipeline.core.cache import Cache, short_id
from pipeline.core.errors import InputError, StoreError
from pipeline.core.home import Home, fsck
from pipeline.core.outcome import Drop, table
from pipeline.core.registry import Registry
from pipeline.core.store import Store
from pipeline.documents.forgotten import forgotten
from schemas.documents import Chunks, RawDocuments
from schemas.evaluation import BehaviourScores
from schemas.pairs import Examples, Pairs
from tests.flows.conftest import prefect
from tests.flows.judged_home import write
from tests.flows.synthesized_home import accept, synthesized_home
from tests.flows.trained_home import train_into
from tests.pipeline.pairs.pairs_data import grounded
from tests.pipeline.pairs.test_generate import chunk_rows

__all__ = ["main", "prefect"]

SOURCE = "manual/relay-outputs.md"
PLACES = {
    "store", "reads", "replies", "reviews", "runs", "services", "prefect", "monitor", "exchanges",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_base, prefect):
    """A home where a document is wherever one may be, and a model that was trained on it."""
    folder = tmp_path_factory.mktemp("forget")
    settings = synthesized_home(folder, tiny_base.path.parent, tiny_base.path)
    accept(settings, 40)
    path = settings.paths.home
    home = Home.at(path)
    pairs = home.dataset("screened_pairs")
    rows = [
        {"pair_id": row["pair_id"], "doc_id": row["doc_id"], "cluster_id": row["cluster_id"],
         "split": "train", "origin": row["origin"], "status": "accepted",
         "messages": [{"role": "user", "content": row["instruction"]},
                      {"role": "assistant", "content": row["response"]}]}
        for row in home.rows(pairs).to_dicts()
    ]  # fmt: skip
    model = train_into(path, tiny_base, table(Examples, rows), pairs)
    text = text_of(path)
    line = max(text.splitlines(), key=len)
    # An answer to a question about something else, and a ledger: both quote it.
    score = {"id": "q1", "kind": "harmful", "answer": line, "followed": None, "refused": False,
             "refusal_margin": None}  # fmt: skip
    scores = table(BehaviourScores, [score, score | {"id": "q2", "answer": "No."}])
    dropped = [Drop("other", "near_duplicate", line, related_id="q1")]
    write(home.store, BehaviourScores, "behaviour_scores", scores, {}, dropped=dropped)
    for asked in (f"Ask about this:\n{text}", "Ask about the weather."):
        Cache(path / "replies").entry({"prompt": [["user", asked]]}).put({"texts": [""]})
    (path / "services").mkdir(exist_ok=True)
    (path / "prefect").mkdir()
    (path / "services" / "deployments.log").write_text(f"started\n{line}\nended\n")
    (path / "exchanges").mkdir()
    (path / "exchanges" / "log.jsonl").write_text(
        json.dumps({"prompt": "What is it?", "response": line})
        + '\n{"prompt": "And the weather?"}\n'
    )
    (path / "monitor" / "evidence").mkdir(parents=True)
    (path / "monitor" / "evidence" / "e1.json").write_text(json.dumps({"far": [{"text": line}]}))
    with sqlite3.connect(path / "prefect" / "prefect.db") as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE artifact (data TEXT)")
        told = json.dumps(json.dumps([{"excerpt": line}]))  # as Prefect writes it
        database.executemany("INSERT INTO artifact VALUES (?)", [(told,), ("[]",)])
        database.executemany("INSERT INTO artifact VALUES (?)", [(line,)] * 50)
        database.commit()
        database.execute("DELETE FROM artifact WHERE data = ?", (line,))
    database.close()
    return settings, model


def text_of(home, source=SOURCE, other=False):
    raw = Home.at(home).rows(Home.at(home).dataset("raw_documents"))
    return "\n".join(raw.filter((pl.col("source") == source) != other)["text"])


def pieces(home):
    """Sentences of the document, without marks of Markdown, that no other document has."""
    others = " ".join(text_of(home, other=True).split())
    found = {" ".join(piece.split()) for piece in re.split(r"[.!?|]\s|[\n#*`|]", text_of(home))}
    return {piece for piece in found if len(piece.split()) >= 5 and piece not in others}


def grep(home, wanted):
    """Return the places below a home with a wanted text: bytes of files, rows of Parquet."""
    found = set()
    for path in home.rglob("*"):
        inside = path.relative_to(home).parts
        if path.is_file() and inside[0] != "models":
            data = path.read_bytes().decode("utf-8", "replace")
            if path.suffix == ".parquet":
                data += json.dumps(pl.read_parquet(path).to_dicts(), ensure_ascii=False)
            data = " ".join(re.sub(r"\\+n", " ", data).split())
            found |= {inside[0] for piece in wanted if piece in data}
    return found


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the home, and what nothing of it may have in the end."""
    settings, model = made
    home = tmp_path / "home"
    shutil.copytree(settings.paths.home, home, copy_function=shutil.copy2)
    paths = settings.paths.model_copy(update={"home": home})
    wanted = pieces(home)
    assert len(wanted) > 10 and grep(home, wanted) == PLACES, "the test looks where it lies"
    return settings.model_copy(update={"paths": paths}), model, wanted


def test_no_byte_stays_and_the_next_run_keeps_it_out(copy, capsys):
    settings, model, wanted = copy
    home = settings.paths.home
    weather = len(list(home.glob("replies/*/*.json")))
    shown = forget(settings, SOURCE, act=False)
    assert grep(home, wanted) == PLACES and forgotten(home) == [], "to look changes nothing"
    done = forget(settings, SOURCE, act=True)
    assert grep(home, wanted) == set()
    assert {place.partition("/")[0] for place in done["held"]} == PLACES
    assert (done["done"], shown["done"], shown["held"]) == (True, False, done["held"])
    assert done["models"] == [str(model)] and done["sources"] == [SOURCE]
    (entry,) = entries(Home.at(home))
    assert entry.marks == ("learned from a forgotten document: train again",)
    assert fsck(Home.at(home)) == []
    (item,) = (one for one in Home.at(home).manifests() if one.dataset == "behaviour_scores")
    scores = Home.at(home).dataset(str(item))
    assert Home.at(home).rows(scores)["answer"].to_list() == ["(forgotten)", "No."]
    assert Home.at(home).rows(scores, dropped=True)["excerpt"].to_list() == ["(forgotten)"]
    assert len(list(home.glob("replies/*/*.json"))) == weather - 1, "other replies stay paid"
    assert (home / "services" / "deployments.log").read_text() == "started\nended\n"
    assert forget(settings, SOURCE, act=True)["held"] == {}, "twice is once"

    curate(settings)
    assert "forgotten 1" in capsys.readouterr().err
    raw = Home.at(home).dataset("raw_documents")
    assert SOURCE not in Home.at(home).rows(raw)["source"].to_list()
    gone = Home.at(home).rows(raw, dropped=True).filter(reason="forgotten")
    assert gone["id"].to_list() == [SOURCE] and grep(home, wanted) == set()
    shutil.copy(settings.paths.input / SOURCE, settings.paths.input / "renamed.md")
    curate(settings)
    (settings.paths.input / "renamed.md").unlink()
    assert grep(home, wanted) == set(), "it is known by its content"


@flow
def train(settings):
    with open_run("train", settings) as run:
        train_model(run, base_model(settings), latest_data(run)[2].examples)


def test_a_pair_of_two_documents_goes_with_either_and_takes_nothing_of_the_other_along(tmp_path):
    home = Home(Store(tmp_path / "store"), Registry(tmp_path / "refs"))
    made = {name: chunk_rows(name, f"Text {name}.", source=f"{name}.md") for name in "abc"}
    ids = {name: rows[0]["doc_id"] for name, rows in made.items()}
    raw = [
        {"doc_id": ids[name], "source": f"{name}.md", "format": "markdown", "title": name,
         "text": f"Text {name}.", "span_start": 0, "span_end": 7}
        for name in made
    ]  # fmt: skip
    both = {"ba": ("b", "a"), "cb": ("c", "b"), "b": ("b", ""), "c": ("c", "")}
    kept = [
        grounded(f"What is {pair}?", "It is said.", doc_id=ids[one], pair_id=short_id(pair),
                 chunk_id=made[one][0]["chunk_id"],
                 other_chunk_id=made[two][0]["chunk_id"] if two else "")
        for pair, (one, two) in both.items()
    ]  # fmt: skip
    for schema, name, stored in (
        (RawDocuments, "raw_documents", raw),
        (Chunks, "chunks", [rows[0] for rows in made.values()]),
        (Pairs, "traffic_pairs", kept),
    ):
        write(home.store, schema, name, table(schema, stored), {})
    assert held_by(home, "a.md").ids == {ids["a"], made["a"][0]["chunk_id"], short_id("ba")}


def test_a_training_behind_it_learns_without_it(copy):
    settings, model, wanted = copy
    forget(settings, SOURCE, act=True)
    train(settings)
    home = Home.at(settings.paths.home)
    marked = {entry.fingerprint: "learned" in " ".join(entry.marks) for entry in entries(home)}
    assert len(marked) == 2 and [key for key, is_marked in marked.items() if is_marked] == [
        model.fingerprint
    ]
    assert grep(settings.paths.home, wanted) == set()


def test_of_a_file_with_many_documents_one_goes(copy):
    settings, _, _ = copy
    home, rows = (
        settings.paths.home,
        ("Blue bears sleep long in winter.", "Owls hunt at night here."),
    )
    told = "".join(json.dumps({"text": f"{row} " * 40}) + "\n" for row in rows)
    (settings.paths.input / "notes.jsonl").write_text(told)
    curate(settings)
    assert grep(home, rows[:1]) and grep(home, rows[1:])
    forget(settings, "notes.jsonl#1", act=True)
    assert grep(home, rows[:1]) == set() and "reads" in grep(home, rows[1:])
    curate(settings)
    (settings.paths.input / "notes.jsonl").unlink()
    assert grep(home, rows[:1]) == set() and "reads" in grep(home, rows[1:])


KILL = """
import os, signal, sys
from pathlib import Path
from flows.engine.settings_file import load_settings
from flows.housekeeping import forget, scrub
left = int(sys.argv[2])
def killing(function):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapped
for owner, name in ((Path, "replace"), (Path, "unlink"), (scrub, "write_atomically")):
    setattr(owner, name, killing(getattr(owner, name)))
forget.forget(load_settings(Path(sys.argv[1])), sys.argv[3], act=True)
"""


@pytest.mark.parametrize("steps", [3, 8, 30])
def test_a_forgetting_that_was_killed_is_ended_by_the_next_one(copy, tmp_path, steps):
    settings, model, wanted = copy
    home = settings.paths.home
    (tmp_path / "settings.toml").write_text(dump_settings(settings))
    words = (str(tmp_path / "settings.toml"), str(steps), SOURCE)
    killed = subprocess.run([sys.executable, "-c", KILL, *words], check=False)
    assert killed.returncode == -9 and grep(home, wanted)
    (row,) = forgotten(home)
    assert not row.done and not any(piece in row.model_dump_json() for piece in wanted)
    with pytest.raises(StoreError, match="was not ended"):
        forget(settings, "manual/alarm-codes.md", act=True)
    assert forget(settings, SOURCE, act=True)["models"] == [str(model)]
    assert grep(home, wanted) == set() and fsck(Home.at(home)) == []
    assert forgotten(home)[0].done


def test_what_cannot_be_forgotten_is_said(copy):
    settings, _, _ = copy
    with pytest.raises(InputError, match=r"no document 'nothing\.md'"):
        forget(settings, "nothing.md", act=False)
    home = settings.paths.home
    record(home, Up(1, "2026-01-01T00:00:00Z", True, "http://127.0.0.1:4200", ""))
    with (
        FileLock(home / "services" / "lock"),
        pytest.raises(StoreError, match="`tuneloop up` runs"),
    ):
        forget(settings, SOURCE, act=True)

"""`tuneloop review` while Label Studio, which was used before, does not answer."""

import json

import pytest
from click.testing import CliRunner

from annotation.items import to_items
from annotation.label_studio_connection import login_path
from annotation.label_studio_ledger import Ledger, State
from annotation.queue_files import FileQueue
from flows.cli.main import main
from flows.services.prefect import free_port
from pipeline.core.outcome import table
from schemas.documents import Chunks
from tests.annotation.conftest import CHUNK, make_pairs
from tests.annotation.test_queue import fill_csv


@pytest.fixture
def queue(tmp_path):
    """The files, with one pair accepted in the CSV."""
    queue = FileQueue(tmp_path / "reviews")
    queue.push(to_items(make_pairs(3), table(Chunks, [CHUNK])))
    Ledger(queue.folder / "label_studio").save(State("mark", project=1))
    login = {"url": f"http://127.0.0.1:{free_port()}", "username": "a", "password": "b"}
    login_path(tmp_path).parent.mkdir()
    login_path(tmp_path).write_text(json.dumps(login | {"token": "0" * 40}))
    first = next(iter(queue.items()))
    fill_csv(queue, {first: {"verdict": "accept", "reviewer": "Ann"}})
    return queue


def review(queue, *words, **keywords):
    place = ("--set", f"paths.home={queue.folder.parent}", "--set", "review.overlap=0")
    return CliRunner().invoke(main, ["review", *words, *place], **keywords)


def test_pull_takes_the_files_in_and_says_in_one_line_what_to_do(queue):
    result = review(queue, "pull")
    assert result.exit_code == 2
    assert result.stdout == "1 decisions, 0 to mend\n"
    assert result.stderr.count("\n") == 1
    assert "http://127.0.0.1:" in result.stderr and "tuneloop up" in result.stderr
    assert "the queue files were taken in" in result.stderr
    assert len((queue.folder / "decisions.jsonl").read_text().splitlines()) == 1
    assert json.loads(review(queue, "pull", "--json").stdout) == {"decisions": 1, "bounced": []}


def test_the_terminal_goes_on_working_and_says_what_it_does_not_know(queue):
    result = review(queue, "--reviewer", "Bo", input="a\n")
    assert result.exit_code == 0
    assert "pairs decided there since may be offered again" in result.stderr
    assert "1 of 2" in result.stdout and "decided: 1 accept; 1 open" in result.stdout
    counts = json.loads(review(queue, "status", "--json").stdout)
    people = counts.pop("about")["reviewers"]
    assert [(row["reviewer"], row["decisions"]) for row in people] == [("Ann", 1), ("Bo", 1)]
    assert counts == {"queued": 3, "open": 1, "skipped": 0, "done": 2, "bounced": 0}

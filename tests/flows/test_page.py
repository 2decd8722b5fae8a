"""The front page: what needs a person comes first, and nobody else may read or change anything."""

import json
import shutil

import pytest
from starlette.testclient import TestClient

from annotation.decisions import Decision
from annotation.items import to_items
from annotation.queue_files import FileQueue
from flows.views.page import application
from pipeline.core.outcome import table
from pipeline.core.registry import CHAMPION, Registry
from pipeline.core.store import Filled, Store
from pipeline.documents.forgotten import Forgotten, note
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision as DriftDecision
from schemas.documents import Chunks
from tests.annotation.conftest import CHUNK, make_pairs
from tests.flows.trained_home import recipe

SECRET = "tuneloop:correct-horse"


@pytest.fixture
def client(settings):
    settings.paths.home.mkdir()
    client = TestClient(application(settings, SECRET), base_url="http://127.0.0.1:4280")
    client.auth = (*SECRET.split(":"),)
    return client


def run(settings, name, error=None, report=None):
    folder = settings.paths.home / "runs" / name
    folder.mkdir(parents=True)
    flow = name.split("-")[1]
    (folder / "run.json").write_text(json.dumps({"flow": flow, "error": error}))
    if report is not None:
        (folder / "report.json").write_text(json.dumps(report))
        (folder / "report.html").write_text("<p>The report")


def test_a_new_home_has_a_page(client):
    page = client.get("/")
    assert page.status_code == 200
    for words in ("No run yet", "None yet", "No check yet", "Nothing is queued yet"):
        assert words in page.text


def test_what_a_person_has_to_look_at_stands_first(client, settings):
    store, registry = Store(settings.paths.home / "store"), Registry(settings.paths.home / "refs")
    model = store.write_folder(recipe("model", {}, {}), lambda _: Filled(identity=()))
    registry.point(CHAMPION, model, "by hand: <b>best</b>", "2026-01-01T00:00:00Z")
    said = {"gate": {"summary": "promoted: <i>better</i>"}, "teacher": {"calls": 2, "cached": 1,
            "prompt_tokens": 1200, "completion_tokens": 34}}  # fmt: skip
    run(settings, "20260101T000000Z-run-aaaaaa", report=said)
    run(settings, "20260102T000000Z-curate-bbbbbb", "InputError: <script>alert(1)</script>")
    row = DriftDecision(
        id="e1", at="2026-01-03T00:00:00Z", action="broken", state="ok", drifted=False, auc=0.7,
        reasons=(), new_rows=0, next_retrain_at=None, reference="r", model="m",
    )  # fmt: skip
    Ledger(settings.paths.home, print).add(row)
    begun = {"doc_ids": ("d",), "sources": ("a.md",), "texts": (), "models": (), "at": ""}
    note(settings.paths.home, Forgotten(**begun, done=False))
    page = client.get("/").text
    head = page[page.index("<header>") : page.index("</header>")]
    assert "4 things to look at." in head
    assert "Forgetting a.md was not ended" in head
    assert "The last run (curate) failed: InputError: &lt;script&gt;" in head
    assert "The last drift check says broken." in head
    assert "Prefect does not answer: nothing runs by itself." in head
    assert "<script" not in page and "<b>best" not in page and "<i>better" not in page
    assert '<a href="/runs/20260101T000000Z-run-aaaaaa/report.html">run</a>' in page
    assert "read 1,200 tokens and wrote 34 in 2 requests, in 2 runs" in page
    assert "0.7" in page and "2026-01-03" in page, "the drift chart"
    shutil.rmtree(store.path(model))
    assert "The champion is not in the store any more" in client.get("/").text


def test_open_reviews_and_whether_people_agree_are_shown(client, settings):
    queue = FileQueue(settings.paths.home / "reviews")
    pairs = make_pairs(8)
    queue.push(to_items(pairs, table(Chunks, [CHUNK])))
    for key in pairs["pair_id"][:7]:
        for person in ("ada", "ben"):
            queue.decide(Decision(key, "accept", "", (), "", person))
    page = client.get("/").text
    assert "<dt>open reviews</dt><dd>1</dd>" in page.replace("<div>", "")[: page.index("</header>")]
    assert "agreement" in page and "reviewer   ben: 7 decisions" in page


def test_a_report_is_a_click_away_and_no_other_file_is(client, settings):
    run(settings, "20260101T000000Z-run-aaaaaa", report={})
    assert client.get("/runs/20260101T000000Z-run-aaaaaa/report.html").text == "<p>The report"
    (settings.paths.home / "report.html").write_text("not of a run")
    for path in ("%2e%2e", "..%2f..", "nothing", "."):
        assert client.get(f"/runs/{path}/report.html").status_code == 404


def test_nobody_else_reads_it_and_nothing_is_changed_by_it(client):
    assert client.post("/").status_code == 405
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    page = client.get("/", headers={"Origin": "http://evil.example"})
    assert not any(name.startswith("access-control") for name in page.headers)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    client.auth = ("tuneloop", "wrong")
    assert client.get("/").status_code == 401 and "tuneloop:" not in client.get("/").text
    client.auth = None
    assert client.get("/runs/x/report.html").status_code == 401
    assert client.get("/health").text == "well\n"

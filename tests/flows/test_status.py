"""`tuneloop status` before anything has run, and with a ledger, refs and a queue."""

import json

from click.testing import CliRunner

from flows.cli import main
from flows.home import now
from flows.ledger import Ledger
from flows.status import status
from pipeline.drift.policy import Decision, Retrain
from pipeline.registry import CHAMPION, Registry
from pipeline.settings import Settings
from pipeline.store import Filled, Store
from tests.flows.trained_home import recipe


def printed(settings: Settings, *words: str) -> str:
    home = settings.paths.home
    result = CliRunner().invoke(main, ["status", "--set", f"paths.home={home}", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_new_home_is_told_what_to_do_first(settings):
    lines = printed(settings)
    assert "not running; start them with `tuneloop up`" in lines
    assert "none yet; `tuneloop run` makes one" in lines
    assert "nothing queued yet" in lines
    assert "curate      15 1 * * *" in lines
    assert not settings.paths.home.exists()  # it reads only


def test_what_is_stored_is_shown(settings):
    home = settings.paths.home
    model = Store(home / "store").write_folder(
        recipe("model", {}, {}), lambda folder: Filled(identity=())
    )
    Registry(home / "refs").point(CHAMPION, model, "gate passed", now())
    ledger = Ledger(home)
    ledger.retrain(
        Retrain(evidence_id="e1", at=now(), reason="words moved", outcome="promoted", run="a-run")
    )
    facts = status(settings)
    assert facts["champion"]["fingerprint"] == model.fingerprint
    assert facts["retrain"]["outcome"] == "promoted"
    assert facts["next_retrain_at"] > now()  # the cooldown
    assert json.loads(printed(settings, "--json")) == facts
    lines = printed(settings)
    assert f"model/{model.fingerprint[:12]} since " in lines
    assert "last: promoted at " in lines
    assert "by itself not before " in lines


def test_the_last_decision_is_shown_with_its_reasons(settings):
    folder = settings.paths.home / "monitor"
    folder.mkdir(parents=True)
    decisions = [
        Decision(
            id=name,
            at=now(),
            action=action,
            state="suspect",
            drifted=True,
            auc=0.7,
            reasons=(f"{name} says so",),
            new_rows=3,
            next_retrain_at=None,
            reference="r",
            model="m",
        )
        for name, action in (("e1", "ok"), ("e2", "watch"))
    ]
    (folder / "decisions.jsonl").write_text("".join(f"{d.model_dump_json()}\n" for d in decisions))
    lines = printed(settings)
    assert "drift        watch at " in lines
    assert "e2 says so" in lines
    assert "e1 says so" not in lines


def test_open_reviews_are_counted_by_queue(settings):
    """A queue file that cannot be read is said, and the rest is shown all the same."""
    folder = settings.paths.home / "reviews"
    folder.mkdir(parents=True)
    (folder / "queue.jsonl").write_text("")
    (folder / "label_studio").mkdir()
    assert status(settings)["reviews"] == [
        {"queue": "files", "queued": 0, "open": 0, "skipped": 0, "done": 0, "bounced": 0},
        {
            "queue": "Label Studio",
            "error": "no login of its server is known; `tuneloop up` makes one",
        },
    ]
    (folder / "queue.csv").write_text("nonsense\n1,2,3\n")
    lines = printed(settings)
    assert "unreadable    error " in lines
    assert "champion     none yet" in lines

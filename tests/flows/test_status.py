"""`tuneloop status` before anything has run, and with a ledger, refs and a queue."""

import json

from click.testing import CliRunner

from annotation import decisions
from annotation.queue_files import FileQueue
from flows.cli.main import main
from flows.engine.context import say_once
from flows.views.status import status
from pipeline.core.journal import append, now
from pipeline.core.registry import CHAMPION, Registry
from pipeline.core.store import Filled, Store
from pipeline.drift.ledger import Ledger
from pipeline.drift.policy import Decision, Retrain
from pipeline.settings import Settings
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
    ledger = Ledger(home, say_once)
    ledger.add(
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
    decided = [
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
    (folder / "decisions.jsonl").write_text("".join(f"{d.model_dump_json()}\n" for d in decided))
    lines = printed(settings)
    assert "drift        watch at " in lines
    assert "e2 says so" in lines
    assert "e1 says so" not in lines


def test_reviews_are_counted_once_and_what_cannot_be_read_is_said(settings):
    """A queue file that cannot be read is said, and the rest is shown all the same."""
    folder = settings.paths.home / "reviews"
    queued = {"pair_id": "0" * 16, "queue": "a", "batch": "first", "pushed_at": "2026-11-28T08:00Z"}
    item = dict.fromkeys(decisions.ITEM_FIELDS, "") | {"pair_id": "0" * 16}
    other = item | {"pair_id": "1" * 16}
    append(folder / "queue.jsonl", [item, other])
    append(folder / "label_studio" / "pushed.jsonl", [queued | {"task_id": 1}])
    facts = status(settings)["reviews"]
    (batch,) = facts.pop("batches")
    assert facts == {"queued": 2, "open": 2, "skipped": 0, "done": 0, "bounced": 0}
    assert (batch["tasks"], batch["open"]) == (1, 1)
    assert "reviews      queued 2  open 2  skipped 0  done 0  bounced 0" in printed(settings)
    FileQueue(folder).decide(decisions.Decision("0" * 16, "accept", "", (), "", "ann"))
    facts = status(settings)["reviews"]
    assert (facts["done"], facts["batches"]) == (1, [])
    (folder / "queue.csv").write_text("nonsense\n1,2,3\n")
    lines = printed(settings)
    assert "reviews      review: queue.csv has nonsense; expected also pair_id" in lines
    assert "champion     none yet" in lines

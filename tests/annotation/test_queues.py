"""Label Studio and the queue files together, while the server is away."""

from dataclasses import replace

import pytest

from annotation.decisions import Decision
from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from annotation.label_studio_connection import Connection
from annotation.label_studio_ledger import State
from annotation.queue import PushResult, join_reviews
from annotation.queue_files import FileQueue
from annotation.queues import CombinedQueue, open_queue
from flows.services.prefect import free_port
from pipeline.core.outcome import table
from pipeline.pairs.reviewers import Policy
from pipeline.settings import LabelStudioSettings, ReviewSettings, Settings
from schemas.pairs import Reviews
from tests.annotation.conftest import make_pairs
from tests.annotation.test_queue import fill_csv, queued_ids
from tests.pipeline.pairs.test_review import review

ACCEPT = {"verdict": "accept", "reviewer": "Ann"}


@pytest.fixture
def server(tmp_path):
    """The queue of a server that was pushed to and does not answer any more."""
    connection = Connection(f"http://127.0.0.1:{free_port()}", "0" * 40)
    queue = LabelStudioQueue(tmp_path / "label_studio", connection, LabelStudioSettings())
    queue._ledger.save(State("mark", project=1))
    return queue


def decide(queue, pair_id, verdict="accept"):
    queue.decide(Decision(pair_id, verdict, "", (), "", "ann"))


def test_the_files_are_taken_in_and_filled_while_the_server_is_down(server, queue, ids, chunks):
    both = CombinedQueue(server, queue.folder)
    fill_csv(queue, {ids[0]: ACCEPT})
    pulled = both.pull()
    assert pulled.reviews["pair_id"].to_list() == [ids[0]]
    assert server._server.url in pulled.missed and "tuneloop up" in pulled.missed
    assert "accept" in (queue.folder / "decisions.jsonl").read_text()  # stored for good
    result = both.push(to_items(make_pairs(8), chunks))
    assert (result.new, result.already, result.missed) == (2, 6, pulled.missed)
    assert queued_ids(queue) == (ids[:8], ids[:8])
    assert both.status()["queued"] == 8


def test_a_push_alone_says_that_the_server_is_down(server, queue, chunks):
    result = CombinedQueue(server, queue.folder).push(to_items(make_pairs(7), chunks))
    assert result.new == 1 and "no answer" in result.missed


def test_a_retired_server_is_asked_nothing_and_new_pairs_go_to_the_files(
    server, queue, ids, chunks
):
    decide(queue, ids[0])
    both = CombinedQueue(server, queue.folder, retired=True)
    assert both.push(to_items(make_pairs(8), chunks)) == PushResult(new=2, already=6)
    pulled = both.pull()
    assert pulled.reviews["pair_id"].to_list() == [ids[0]] and not pulled.missed
    assert both.status()["queued"] == 8


def test_a_home_without_a_login_has_the_files_alone_unless_label_studio_was_used(tmp_path):
    settings = Settings.model_validate({"paths": {"home": tmp_path}})
    assert not isinstance(open_queue(settings), CombinedQueue)
    (tmp_path / "reviews" / "label_studio").mkdir(parents=True)
    both = open_queue(settings)
    assert isinstance(both, CombinedQueue) and both.retired
    assert both.pull().missed == ""


def test_a_disagreement_gets_a_blank_row_for_a_third_person_and_closes_with_it(queue, ids, chunks):
    queue.policy = Policy(ReviewSettings(overlap=0))
    fill_csv(queue, {ids[0]: ACCEPT})
    queue.decide(Decision(ids[0], "reject", "", ("wrong",), "", "bo"))
    queue.push(to_items(make_pairs(6), chunks))
    assert sorted(queued_ids(queue)[1]) == sorted([ids[0], *ids[:6]])  # Ann's row, a blank one
    assert [item["pair_id"] for item in queue.open_items("Ann")] == ids[1:6]
    assert [item["pair_id"] for item in queue.open_items("Cy")] == ids[:6]
    assert (queue.status()["open"], queue.status()["done"]) == (6, 0)
    queue.decide(Decision(ids[0], "accept", "", (), "", "Cy"))
    queue.push(to_items(make_pairs(6), chunks))
    assert sorted(queued_ids(queue)[1]) == sorted(ids[:6])
    assert (queue.status()["open"], queue.status()["done"]) == (5, 1)


class DecidedElsewhere(FileQueue):
    elsewhere = ()

    def stored(self):
        others = table(Reviews, [review(pair_id, "accept", "Bo") for pair_id in self.elsewhere])
        here = super().stored()
        return replace(here, reviews=join_reviews(here.reviews, others))


def test_blank_rows_of_pairs_decided_elsewhere_leave_the_csv(queue, ids, chunks):
    fill_csv(queue, {ids[1]: ACCEPT, ids[2]: {"reviewer": "Ann"}})
    queue = DecidedElsewhere(queue.folder, Policy(ReviewSettings(overlap=0)))
    queue.elsewhere = ids[:3]
    queue.close()
    assert queued_ids(queue) == (ids[:6], [ids[1], *ids[3:6]])
    queue.elsewhere = (ids[0], ids[2])
    queue.push(to_items(make_pairs(6), chunks))
    assert queued_ids(queue) == (ids[:6], [ids[1], *ids[3:6]])
    queue.elsewhere = ()
    queue.push(to_items(make_pairs(6), chunks))  # the decision elsewhere was taken back
    assert sorted(queued_ids(queue)[1]) == sorted(ids[:6])

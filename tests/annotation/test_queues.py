"""Label Studio and the queue files together, while the server is away."""

import pytest

from annotation.decisions import Decision
from annotation.label_studio import Connection, LabelStudioQueue
from annotation.queues import CombinedQueue
from flows.services.prefect import free_port
from pipeline.errors import ReviewError
from pipeline.settings import LabelStudioSettings
from tests.annotation.conftest import make_pairs


@pytest.fixture
def server(tmp_path):
    """The queue of a server that does not answer."""
    connection = Connection(f"http://127.0.0.1:{free_port()}", "0" * 40)
    return LabelStudioQueue(tmp_path / "label_studio", connection, LabelStudioSettings())


def decide(queue, pair_id):
    queue.decide(Decision(pair_id, "accept", "", (), "", "ann"))


def test_a_server_that_is_down_is_said_and_what_is_stored_still_counts(server, queue, ids, chunks):
    decide(queue, ids[0])
    both = CombinedQueue(server, queue)
    with pytest.raises(ReviewError, match="no answer"):
        both.push(make_pairs(2), chunks)
    assert both.stored().reviews["pair_id"].to_list() == [ids[0]]


def test_a_retired_server_is_asked_nothing_and_new_pairs_go_to_the_files(
    server, queue, ids, chunks
):
    decide(queue, ids[0])
    both = CombinedQueue(server, queue, retired=True)
    assert both.push(make_pairs(8), chunks).new == 2
    assert both.pull().reviews["pair_id"].to_list() == [ids[0]]
    assert both.status().queued == 8

"""What of a forgotten document is on a Label Studio: tasks, answers, and the pages they leave."""

import pytest

from annotation.items import to_items
from annotation.label_studio import LabelStudioQueue
from flows.housekeeping.forget import _take_tasks
from flows.housekeeping.held import Held, runs, strings
from flows.housekeeping.scrub import Scrub
from tests.annotation.conftest import make_pairs


def held(pair_id, pairs):
    rows = [(row["pair_id"], [row["instruction"], row["response"]]) for row in pairs.to_dicts()]
    known = {key: {run for text in strings(row) for run in runs(text)} for key, row in rows}
    others = set().union(*(known[key] for key in known if key != pair_id))
    return Held(
        doc_ids=(pair_id,), sources=("a.md",), texts=(), near=(), models=(),
        ids=frozenset([pair_id]), runs=frozenset(known[pair_id] - others),
    )  # fmt: skip


@pytest.mark.restarts
def test_its_tasks_answers_and_freed_pages_go_and_all_others_stay(
    server, connection, chunks, ids, ann, project_tasks, monkeypatch
):
    folder = server.home / "reviews" / "label_studio"
    queue = LabelStudioQueue(folder, connection, server.settings.label_studio)
    pairs = make_pairs(4)
    queue.push(to_items(pairs, chunks))
    tasks = project_tasks(queue)
    ann.decide(tasks[ids[0]][0], "edit", edited="The pump holds no more than 9 bar in case 0.")
    ann.decide(tasks[ids[3]][0], "accept")
    queue.pull()
    database = server.home / "label_studio" / "label_studio.sqlite3"
    text = dict(zip(pairs["pair_id"], pairs["response"], strict=True))[ids[0]]

    # A server of yours is asked for it.
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.login.token)
    url = server.settings.label_studio.model_copy(update={"url": server.service.url})
    _take_tasks(server.settings.model_copy(update={"label_studio": url}), held(ids[1], pairs))
    assert set(project_tasks(queue)) == {ids[0], ids[2], ids[3]}

    # Ours has its database in the home, with the pages of what was deleted.
    server.stop()
    try:
        before = database.read_bytes()
        assert text.encode() in before and b"9 bar in case 0" in before
        removed = Scrub(server.home, held(ids[0], pairs), act=True).run()
        # Its answers are below the task; other tests may have left tasks of the same pair.
        assert removed["label_studio/label_studio.sqlite3"] >= 1
        for path in (database, *folder.iterdir()):
            data = path.read_bytes()
            assert not any(word in data for word in (text.encode(), b"9 bar in case 0")), path
    finally:
        server.start()
    assert set(project_tasks(queue)) == {ids[2], ids[3]}
    pulled = queue.pull()
    assert pulled.reviews.select("pair_id", "verdict").rows() == [(ids[3], "accept")]
    assert (
        queue.push(to_items(pairs.filter(pairs["pair_id"].is_in([ids[2], ids[3]])), chunks)).new
        == 0
    )

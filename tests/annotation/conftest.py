import pytest

from annotation.items import to_items
from annotation.queue_files import FileQueue
from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from schemas.documents import Chunks
from schemas.pairs import ScreenedPairs

CHUNK = {
    "chunk_id": short_id("chunk"),
    "doc_id": short_id("doc"),
    "title": "Manual",
    "section": "Pumps > Care",
    "start": 0,
    "end": 70,
    "text": "The pump holds\n6 bar. Restart it, but never while it is filling.",
    "tokens": 20,
}


def make_pairs(count, start=0):
    return table(
        ScreenedPairs,
        [
            {
                "pair_id": short_id("pair", str(i)),
                "instruction": f"How much pressure, case {i}?",
                "input": "",
                "response": f"The pump holds 6 bar in case {i}.",
                "evidence": "The pump holds 6 bar.",
                "chunk_id": CHUNK["chunk_id"],
                "doc_id": CHUNK["doc_id"],
                "seed_task_id": "",
                "generator": "secret-teacher",
                "prompt_version": "v1",
                "kind": "",
                "history": [],
                "other_chunk_id": "",
                "origin": "grounded",
                "score": 0.123,
                "split": "test" if i % 2 else "train",
                "cluster_id": CHUNK["doc_id"],
            }
            for i in range(start, start + count)
        ],
    )


@pytest.fixture
def chunks():
    return table(Chunks, [CHUNK])


@pytest.fixture
def queue(tmp_path, chunks):
    queue = FileQueue(tmp_path / "reviews")
    queue.push(to_items(make_pairs(6), chunks))
    return queue


@pytest.fixture
def ids():
    return [short_id("pair", str(i)) for i in range(20)]

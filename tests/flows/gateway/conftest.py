"""A home with two trained champions and documents, and ``tuneloop serve`` running on it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import openai
import pytest

from flows.services.prefect import free_port
from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.core.registry import Registry
from pipeline.core.store import Dataset, Store
from schemas.documents import Chunks, UniqueDocuments
from tests.flows.judged_home import write
from tests.flows.trained_home import crown, train_into

PUMP = "The pump of series P stops when the inlet valve is closed. Open the valve."
LAMP = "The signal lamp blinks twice a second while the memory is written."
DOCUMENTS = {"pump.md": ("Pump", PUMP), "lamp.md": ("<b>Lamp</b>", LAMP)}


class Gateway(NamedTuple):
    """A running gateway."""

    url: str
    home: Path
    process: subprocess.Popen
    said: Path

    def client(self, **settings) -> openai.OpenAI:
        options = {"base_url": f"{self.url}/v1", "api_key": "any", "max_retries": 0}
        return openai.OpenAI(**options | settings)


@contextmanager
def serving(home: Path, base: Path, folder: Path, *overrides: str, **env: str) -> Iterator[Gateway]:
    """Run ``tuneloop serve`` for the block and stop it as Ctrl-C does."""
    port, said = free_port(), folder / "said.txt"
    values = (
        f"paths.home={home}",
        f"model.base_model={base}",
        "model.threads=1",
        f"serve.port={port}",
        *overrides,
    )
    words = [word for value in values for word in ("--set", value)]
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", "serve", "--json", *words],
            cwd=folder,
            env=os.environ | {"PREFECT_HOME": str(folder / "prefect")} | env,
            stdout=subprocess.PIPE,
            stderr=out,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, said.read_text()
        yield Gateway(json.loads(line)["url"], home, process, said)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, said.read_text()
        process.stdout.close()


def store_documents(home: Path) -> None:
    """Put two documents of one chunk each into the store, as curation leaves them."""
    documents, chunks = [], []
    for source, (title, text) in DOCUMENTS.items():
        key = short_id(text)
        documents.append(
            {
                "doc_id": key, "source": source, "format": "markdown", "title": title,
                "text": text, "span_start": 0, "span_end": len(text), "language": "en",
                "cluster_id": short_id(source), "cluster_size": 1,
            }
        )  # fmt: skip
        chunks.append(
            {
                "chunk_id": short_id("chunk", text), "doc_id": key, "title": title,
                "section": "Use", "start": 0, "end": len(text), "text": text, "tokens": 20,
            }
        )  # fmt: skip
    store, registry = Store(home / "store"), Registry(home / "refs")
    for name, schema, rows in (
        ("unique_documents", UniqueDocuments, documents),
        ("chunks", Chunks, chunks),
    ):
        dataset = write(store, schema, name, table(schema, rows), {})
        registry.point(f"dataset/{name}", dataset, "test", "2026-01-01T00:00:00Z")


@pytest.fixture(scope="package")
def champions(tiny_base, tmp_path_factory) -> tuple[Path, Dataset, Dataset]:
    """A home whose champion repeats one word, and a challenger that repeats another."""
    home = tmp_path_factory.mktemp("gateway") / "home"
    rate = {"learning_rate": 5e-2, "max_steps": 3, "method": "lora"}
    first = train_into(home, tiny_base, **rate)
    second = train_into(home, tiny_base, seed=99, rank=16, **rate)
    crown(home, first)
    store_documents(home)
    return home, first, second


@pytest.fixture(scope="package")
def gateway(champions, tiny_base, tmp_path_factory) -> Iterator[Gateway]:
    """A gateway with retrieval and a log; no test may change its champion for good."""
    folder = tmp_path_factory.mktemp("serve")
    own = ("serve.retrieval=on", "serve.log=true", "serve.max_tokens=24", "serve.waiting=8")
    with serving(champions[0], tiny_base.path, folder, *own) as running:
        yield running

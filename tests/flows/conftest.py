"""One real Prefect server for the flow tests, and settings with a home of one's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.services.prefect import prefect_server
from pipeline.settings import Settings


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run a Prefect server and let Prefect, imported long before, use it."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as wait_until_ready:
        from prefect.settings import PREFECT_API_URL, temporary_settings

        wait_until_ready()
        with temporary_settings({PREFECT_API_URL: os.environ["PREFECT_API_URL"]}):
            yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"paths": {"home": tmp_path / "home"}})

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
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        wait_until_ready()
        names = (PREFECT_API_URL, PREFECT_API_AUTH_STRING)
        with temporary_settings({name: os.environ[name.name] for name in names}):
            yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of one's own; this process computes, where no worker processes are the point."""
    return Settings.model_validate(
        {"paths": {"home": tmp_path / "home"}, "compute": {"runner": "inline"}}
    )

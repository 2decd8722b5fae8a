"""One undisturbed run of the small project, shared by the tests that compare with it."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.project import Project, make_project
from tests.flows.conftest import prefect

__all__ = ["prefect"]


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, embedded_model: Path, prefect: None
) -> tuple[Project, dict[str, Any]]:
    """Return the project after one run, with its report."""
    project = make_project(tmp_path_factory.mktemp("undisturbed"), embedded_model.parent)
    return project, project.run()

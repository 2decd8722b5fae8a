"""One undisturbed run of the small project, shared by the tests that compare with it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.end_to_end.project import Project, make_project
from tests.flows.conftest import prefect

__all__ = ["prefect"]


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, embedded_model: Path, prefect: None
) -> tuple[Project, dict[str, Any]]:
    """Return the project after one run, with its report; workers share it, so work on a copy."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    project, report = Project(root / "undisturbed"), root / "undisturbed.json"
    with FileLock(root / "undisturbed.lock"):
        if not report.exists():
            make_project(project.folder, embedded_model.parent)
            report.write_text(json.dumps(project.run()))
    return project, json.loads(report.read_text())

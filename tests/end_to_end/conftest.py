"""Projects after one run: with the embedded model, and a quick one with a scripted teacher."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.train.models.base_model import BaseModel
from tests.end_to_end.project import Project, make_project, make_quick_project
from tests.flows.conftest import prefect
from tests.pipeline.pairs.endpoint_server import Answer, Server, serving, teach

__all__ = ["prefect"]


class Done(NamedTuple):
    """A project after its first run: work on a copy."""

    project: Project
    report: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, embedded_model: Path, prefect: None
) -> Done:
    """The project after one run with the embedded model, which takes seconds for a reply."""
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "p", embedded_model.parent)
    file = project.folder / "tuneloop.toml"
    text = file.read_text("utf-8").replace("max_steps = 6", "max_steps = 3")
    text = text.replace("self_instruct_tasks = 2", "self_instruct_tasks = 1\ntarget = 5")
    file.write_text(text, "utf-8")
    return Done(project, project.run())


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Server]:
    """A teacher that reads sentences aloud, a third of a second each."""

    def answer(number: int, body: dict[str, Any]) -> Answer:
        time.sleep(0.3)
        return teach(number, body)

    with serving(answer) as server:
        yield server


@pytest.fixture(scope="session")
def quick(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel, endpoint: Server, prefect: None
) -> Done:
    """The project after one run with a base of random weights and a scripted teacher."""
    folder = tmp_path_factory.mktemp("quick") / "p"
    project = make_quick_project(folder, tiny_base.path, endpoint.url)
    return Done(project, project.run())

"""Shared fixtures: the real embedded model, prepared once, and a clean environment."""

import tempfile
from pathlib import Path

import hypothesis
import pytest

from flows import environment

# Before torch or Prefect is imported anywhere: offline and silent, as on the command line.
environment.prepare(Path(tempfile.mkdtemp(prefix="tuneloop-tests-")))

# Machines differ in speed: no test fails for being slow, and a failure comes back the next time.
hypothesis.settings.register_profile("tuneloop", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tuneloop")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def models_dir(pytestconfig: pytest.Config) -> Path:
    """Folder of prepared base models, kept between test sessions since making one takes 20 s."""
    cache = pytestconfig.cache
    assert cache is not None
    return Path(cache.mkdir("models"))


@pytest.fixture(scope="session")
def embedded_model(models_dir: Path) -> Path:
    """Folder of SmolLM2-135M-Instruct, dequantized out of its wheel."""
    from pipeline.settings import ModelSettings
    from pipeline.train.base_model import resolve_model

    return resolve_model(ModelSettings(), models_dir).path

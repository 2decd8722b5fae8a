"""Training speed, memory and loss beside TRL: the same rows, tokens, steps and rates, one machine.

    make bench                                            # or:
    .venv/bin/python -m tests.benchmarks.training_speed --steps 8 --repeats 1

LoRA of rank 16, alpha 32, on all linear layers of the embedded model. Each arm is a process of
its own, run one after the other; with --repeats the arms take turns. TRL gets prompt and
completion as text and completion_only_loss: SmolLM2's template has no generation markers, so its
assistant_only_loss raises. That the trained tokens are the same, end-of-turn included, is
checked; a difference stops the arm.

- tokens/s: tokens of the rows, without padding, over the time in steps, the first step left out.
- peak memory: VmHWM of the arm's process, interpreter and libraries included.
- validation loss: nats a supervised token, one scorer for all adapters (a plain forward pass a
  row, bfloat16 weights; QLoRA's on its own 4-bit base).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.settings import ModelSettings, TrainSettings
from pipeline.train.base_model import BaseModel, compute_dtype, load_tokenizer, resolve_model
from pipeline.train.peak import FEW_PRIMITIVES, peak_memory
from tests.benchmarks.rows import benchmark_rows

ROOT = Path(__file__).parents[2]
MODELS = ROOT / ".pytest_cache" / "d" / "models"
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

TUNED: dict[str, Any] = {
    "model_init_kwargs": {"dtype": str(compute_dtype("cpu")).removeprefix("torch.")},
    "gradient_checkpointing": False,
}
"""By hand: no checkpointing, and bfloat16 where the processor has it, as we do ourselves."""
TRL_ARMS: dict[str, dict[str, Any]] = {
    "trl defaults": {"gradient_accumulation_steps": 2},
    "trl tuned": TUNED
    | {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 4,
        "train_sampling_strategy": "group_by_length",
    },
    # what our loop does with rows: one at a time, so none is padded
    "trl row by row": TUNED | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 16},
    # 4 packs of 1,024 tokens a step are 15 to 16 rows of 270: the same batch in tokens
    "trl packed": TUNED
    | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4, "packing": True},
}
"""What each arm changes in SFTConfig. Batch 8 is TRL's default; 2 x 8 rows make a step of 16."""
OUR_ARMS = {"tuneloop lora": "lora", "tuneloop qlora": "qlora"}
ARMS = (*TRL_ARMS, *OUR_ARMS)


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


def ours(base: BaseModel, method: str, steps: int, output: Path) -> Measured:
    """Train with pipeline.train.trainer; no validation pass falls between two steps."""
    from pipeline.progress import listening
    from pipeline.train.batches import plan_steps
    from pipeline.train.rows import lengths, tokenize
    from pipeline.train.trainer import train

    settings = SETTINGS.model_copy(update={"method": method, "max_steps": steps})
    examples = benchmark_rows().filter(split="train")
    sizes = lengths(tokenize(examples, load_tokenizer(base.path), settings.max_tokens).train)
    tokens = [
        sum(sizes[row] for batch in step for row in batch) for step in plan_steps(sizes, settings)
    ]
    ends: list[float] = []

    def listen(done: int, total: int, unit: str) -> None:
        if unit == "steps":
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as work, listening(listen):
        train(examples, base, settings, MODEL, Path(work), output)
    return Clock(tokens, ends).measured()


def trl(base: BaseModel, changes: dict[str, Any], steps: int, output: Path) -> Measured:
    """Train with TRL's SFTTrainer, at our learning rates."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from pipeline.train.base_model import configure_torch
    from pipeline.train.batches import learning_rate

    configure_torch(MODEL)  # as many threads as we take
    torch.use_deterministic_algorithms(False)
    tokenizer = load_tokenizer(base.path)
    clock = Clock([], [])

    class Timed(SFTTrainer):
        def training_step(self, model, inputs, *args, **kwargs):
            mask = inputs.get("attention_mask")
            held = int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
            clock.tokens[-1] += held
            return super().training_step(model, inputs, *args, **kwargs)

    class Ends(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            clock.tokens.append(0)
            if not clock.ends:
                clock.ends.append(time.perf_counter())

        def on_step_end(self, *args, **kwargs):
            clock.ends.append(time.perf_counter())

    settings = SETTINGS.model_copy(update={"max_steps": steps})
    config = SFTConfig(
        output_dir=str(output / "work"),
        max_steps=steps,
        learning_rate=settings.learning_rate,
        completion_only_loss=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=settings.seed,
        **changes,
    )
    trainer = Timed(
        model=str(base.path),
        args=config,
        train_dataset=Dataset.from_list(_prompt_completion(tokenizer)),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[Ends()],
    )
    check_same_tokens(tokenizer, trainer.train_dataset)
    optimizer = trainer.create_optimizer()
    trainer.lr_scheduler = LambdaLR(
        optimizer, lambda step: learning_rate(1.0, min(step, steps - 1), steps, settings)
    )
    trainer.train()
    measured = clock.measured()
    trainer.save_model(str(output))
    return measured


def _prompt_completion(tokenizer: Any) -> list[dict[str, str]]:
    """Return the rows as text, by the template, up to the end-of-turn token."""
    from pipeline.dataset.chat import render

    rows = []
    for messages in benchmark_rows().filter(split="train")["messages"].to_list():
        prompt = render(tokenizer, messages[:-1], generation_prompt=True)
        whole = render(tokenizer, messages)
        rows.append({"prompt": prompt, "completion": whole[len(prompt) :].rstrip("\n")})
    return rows


def check_same_tokens(tokenizer: Any, theirs: Any) -> None:
    """Compare the trained tokens of TRL's rows, or packs, with ours, as multisets of tokens."""
    from pipeline.dataset.chat import IGNORED
    from pipeline.train.rows import tokenize

    def count(rows: Any) -> Counter[int]:
        return Counter(token for row in rows["labels"] for token in row if token != IGNORED)

    examples = benchmark_rows().filter(split="train")
    expected = count(tokenize(examples, tokenizer, SETTINGS.max_tokens).train)
    found = count(theirs)
    if found != expected:
        raise SystemExit(f"trained tokens differ: {found - expected} more, {expected - found} less")


def score(base: BaseModel, adapters: dict[str, Path]) -> dict[str, float]:
    """Return the validation loss of each adapter, and of the base without one."""
    import torch
    from peft import PeftModel
    from torch.nn.functional import cross_entropy

    from pipeline.dataset.chat import IGNORED
    from pipeline.train.adapter import load_base
    from pipeline.train.rows import tokenize

    tokenizer = load_tokenizer(base.path)
    rows = tokenize(benchmark_rows(), tokenizer, SETTINGS.max_tokens).validation
    losses = {}
    for name, folder in {"base": None, **adapters}.items():
        model = load_base(base, MODEL, quantized="qlora" in name)
        if folder is not None:
            model = PeftModel.from_pretrained(model, folder)
        model.eval()
        summed, count = [], 0
        with torch.no_grad():
            for row in rows:
                labels = torch.tensor(row["labels"][1:])
                ids = torch.tensor([row["input_ids"]])
                logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
                loss = cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
                summed.append(loss.item())
                count += int((labels != IGNORED).sum())
        losses[name] = math.fsum(summed) / count
    return losses


def table(results: dict[str, list[Measured]], losses: dict[str, list[float]], base: float) -> str:
    """Lay the arms out side by side; the best repeat counts for speed, the mean for loss."""
    best = max(
        (max(m.tokens_per_second for m in results[arm]) for arm in OUR_ARMS if arm in results),
        default=math.nan,
    )
    lines = [
        f"{'arm':<16} {'tokens/s':>9} {'(range)':>13} {'peak GB':>8} {'steps':>6} {'tokens':>8} "
        f"{'validation loss':>16} {'best of ours is':>16}"
    ]
    for arm, runs in results.items():
        rates = [run.tokens_per_second for run in runs]
        memory = max(run.peak_memory_bytes for run in runs) / 1e9
        loss = sum(losses[arm]) / len(losses[arm])
        spread = f"{min(rates):.0f}-{max(rates):.0f}"
        lines.append(
            f"{arm:<16} {max(rates):>9.0f} {spread:>13} {memory:>8.2f} {runs[0].steps:>6} "
            f"{runs[0].tokens:>8,} {loss:>16.4f} {best / max(rates):>14.2f} x"
        )
    lines.append(f"the base model's validation loss: {base:.4f}")
    return "\n".join(lines)


def main() -> None:
    """Run the arms one after the other, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps of 16 rows")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--base-model", default="embedded", help="or a folder")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--score", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from flows import environment

    environment.prepare(MODELS)  # offline and silent, before torch or transformers is imported
    if options.arm or options.score:
        settings = MODEL.model_copy(update={"base_model": options.base_model})
        base = resolve_model(settings, MODELS)
        found: Any
        if options.arm:
            run = _runner(options.arm)
            found = asdict(run(base, options.steps, options.output))
        else:
            found = score(base, {Path(path).name: Path(path) for path in options.score})
        print(json.dumps(found))
        return
    model = ["--base-model", options.base_model]
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, list[Measured]] = {arm: [] for arm in options.arms}
        losses: dict[str, list[float]] = {arm: [] for arm in options.arms}
        for repeat in range(options.repeats):
            outputs = {arm: Path(folder) / str(repeat) / arm for arm in options.arms}
            for arm, output in outputs.items():
                words = ["--arm", arm, "--steps", str(options.steps), "--output", str(output)]
                measured = Measured(**_call(*words, *model))
                results[arm].append(measured)
                print(f"{arm}: {measured.tokens_per_second:.0f} tokens/s", file=sys.stderr)
            scores = _call("--score", *map(str, outputs.values()), *model)
            for arm in options.arms:
                losses[arm].append(scores[arm])
    print(table(results, losses, scores["base"]))
    if options.json:
        numbers = {arm: [asdict(run) for run in runs] for arm, runs in results.items()}
        options.json.write_text(json.dumps({"arms": numbers, "validation_loss": losses}, indent=1))


def _runner(arm: str) -> Callable[[BaseModel, int, Path], Measured]:
    if arm in OUR_ARMS:
        return lambda base, steps, output: ours(base, OUR_ARMS[arm], steps, output)
    return lambda base, steps, output: trl(base, TRL_ARMS[arm], steps, output)


def _call(*words: str) -> dict[str, Any]:
    """Run this file in a process of its own and return the JSON of its last line.

    Ours get the environment in which pipeline.train.alone trains.
    """
    own = FEW_PRIMITIVES if any(arm in words for arm in OUR_ARMS) else {}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.training_speed", *words],
        cwd=ROOT,
        env=own | os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()

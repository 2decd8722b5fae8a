"""The arms of the training benchmark that TRL trains."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.train.models.base_model import BaseModel, load_tokenizer
from pipeline.train.models.device import compute_dtype
from tests.benchmarks.training_work import MODEL, Clock, Measured, Work

TYPE = str(compute_dtype("cpu")).removeprefix("torch.")
DEFAULTS: dict[str, Any] = {"gradient_accumulation_steps": 2, "bf16": TYPE == "bfloat16"}
"""Batch 8 is TRL's default; 2 x 8 rows make a step of 16. Autocast to bfloat16 is another, but
a processor without it takes ten minutes for one batch: off there."""
TUNED = DEFAULTS | {"model_init_kwargs": {"dtype": TYPE}, "gradient_checkpointing": False}
"""By hand: no checkpointing, and weights in bfloat16 where the processor has it, as ours are."""
TRL_ARMS: dict[str, dict[str, Any]] = {
    "trl defaults": DEFAULTS,
    "trl tuned": TUNED | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
    # one at a time, so none is padded
    "trl row by row": TUNED | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 16},
    # 4 packs of 1,024 tokens a step are 15 to 16 rows of 270: the same batch in tokens
    "trl packed": TUNED
    | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4, "packing": True},
}
"""What each arm changes in SFTConfig."""


def trl(
    base: BaseModel, changes: dict[str, Any], work: Work, output: Path, *, shuffled: bool = False,
    quantization: Any = None,
) -> Measured:  # fmt: skip
    """Train with TRL's SFTTrainer, at our learning rates, on the rows of our steps.

    The rows of a step come by length, so that those of a batch are alike.

    Args:
        base: the model.
        changes: keys of SFTConfig.
        work: rows, steps and settings.
        output: gets the adapter.
        shuffled: whether the rows of a step come as they come, which is TRL's default.
        quantization: how the base is quantized, as transformers says it; None: not.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from pipeline.train.batch.batches import learning_rate
    from pipeline.train.models.device import configure_torch

    configure_torch(MODEL)  # as many threads as we take
    torch.use_deterministic_algorithms(False)
    tokenizer = load_tokenizer(base.path)
    clock = Clock([], [])

    class Timed(SFTTrainer):
        def training_step(self, model, inputs, *args, **kwargs):
            mask = inputs.get("attention_mask")
            # a tensor of the GPU is not waited for here
            clock.tokens[-1] += mask.sum() if mask is not None else inputs["input_ids"].numel()
            return super().training_step(model, inputs, *args, **kwargs)

    class Ends(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            clock.tokens.append(0)
            if not clock.ends:
                clock.tick()

        def on_step_end(self, *args, **kwargs):
            clock.tick()

    rows = _prompt_completion(tokenizer, work)
    order = []
    for number, step in enumerate(work.steps):
        of_step = [row for batch in step for row in batch]
        if shuffled:
            random.Random(number).shuffle(of_step)
        order += of_step
    settings, steps = work.settings, work.settings.max_steps
    config = SFTConfig(
        output_dir=str(output / "work"),
        max_steps=steps,
        learning_rate=settings.learning_rate,
        completion_only_loss=True,
        train_sampling_strategy="random" if "packing" in changes else "sequential",
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
        train_dataset=Dataset.from_list([rows[row] for row in order]),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        quantization_config=quantization,
        callbacks=[Ends()],
    )
    check_same_tokens(work, trainer.train_dataset)
    optimizer = trainer.create_optimizer()
    trainer.lr_scheduler = LambdaLR(
        optimizer, lambda step: learning_rate(1.0, min(step, steps - 1), steps, settings)
    )
    trainer.train()
    measured = clock.measured(work.timed)
    trainer.save_model(str(output))
    return measured


def _prompt_completion(tokenizer: Any, work: Work) -> list[dict[str, str]]:
    """Return the rows as text, by the template, up to the end-of-turn token."""
    from pipeline.text.chat_template import render

    rows = []
    for messages in work.examples["messages"].to_list():
        prompt = render(tokenizer, messages[:-1], generation_prompt=True)
        whole = render(tokenizer, messages)
        rows.append({"prompt": prompt, "completion": whole[len(prompt) :].rstrip("\n")})
    return rows


def check_same_tokens(planned: Work, theirs: Any) -> None:
    """Compare the trained tokens of TRL's rows, or packs, with ours, as multisets of tokens."""
    from pipeline.text.chat import IGNORED

    found = Counter(token for row in theirs["labels"] for token in row if token != IGNORED)
    more, less = found - planned.supervised, planned.supervised - found
    if more or less:
        raise SystemExit(f"trained tokens differ: {more} more, {less} less")

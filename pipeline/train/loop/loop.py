"""The training loop itself: steps, validation, early stopping, checkpoints, noise."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline.core.errors import TrainingError
from pipeline.core.progress import advance, announce
from pipeline.settings import TrainSettings
from pipeline.train.batch import batches
from pipeline.train.batch.batches import Step
from pipeline.train.batch.loss import Loss, supervised_loss
from pipeline.train.batch.rows import Rows, lengths, supervised
from pipeline.train.loop.checkpoint import History, load_checkpoint, save_checkpoint
from pipeline.train.loop.optimizers import make_optimizer
from pipeline.train.methods import parameter_groups
from pipeline.train.models.adapter import trainable
from pipeline.train.models.distill import distilled_loss
from pipeline.train.peak_memory import free_memory, is_out_of_memory, peak_memory
from pipeline.train.torch_processes import Processes, random_state, set_random_state

CHECKPOINT_SECONDS = 60.0
"""Time between two checkpoints: of LoRA one takes a second or less, of all weights of a model of 7B
it has 76 GB."""


class EmbeddingNoise:
    """NEFTune: noise on the embeddings in training (Jain et al. 2023, arXiv 2310.05914).

    It is uniform, of scale ``alpha / sqrt(length x width)``, with the length of the row, not of the
    padded or packed tensor, and of torch's random state, which a checkpoint holds.
    """

    def __init__(self, model: Any, alpha: float) -> None:
        self.alpha, self._lengths = alpha, torch.empty(0)
        if alpha:
            model.get_input_embeddings().register_forward_hook(self._add)

    def expect(self, lengths: list[int], *, packed: bool) -> None:
        """Say how long the rows of the next forward pass are, one below or behind the other."""
        if self.alpha:
            rows = torch.tensor(lengths, dtype=torch.float32)
            each = rows.repeat_interleave(rows.long())[None] if packed else rows[:, None]
            self._lengths = each[..., None]  # (1, tokens, 1) or (rows, 1, 1)

    def _add(self, embedding: Any, _: Any, embedded: Any) -> Any:
        if not embedding.training:
            return None
        noise = torch.empty_like(embedded, dtype=torch.float32).uniform_(-1, 1)
        scale = self.alpha / (self._lengths.to(embedded.device) * embedded.shape[-1]).sqrt()
        return embedded + (noise * scale).to(embedded.dtype)


@dataclass(slots=True)
class Run:
    """One run of the loop."""

    model: Any
    rows: Rows
    settings: TrainSettings
    work: Path
    processes: Processes | None = None
    teacher: Any = None
    noise: EmbeddingNoise = field(init=False)
    sizes: list[int] = field(init=False)  # tokens of the train rows

    def __post_init__(self) -> None:
        self.sizes = lengths(self.rows.train)
        self.settings = batches.sized(self.settings, self.model.device.type)

    def go(self, fingerprint: str) -> tuple[History, dict[str, Any]]:
        """Train from the last checkpoint, or from the start, to the end."""
        settings = self.settings
        parameters = trainable(self.model)
        groups = parameter_groups(self.model, settings)
        optimizer = make_optimizer(groups, settings, self.model.device.type)
        rates = [group["lr"] for group in optimizer.param_groups]
        steps = batches.plan_steps(self.sizes, settings, self.model.device.type)
        total = len(steps)
        loss, learned = self._losses(steps[0])
        self.noise = EmbeddingNoise(self.model, settings.neftune_alpha)
        count = settings.evaluations
        evaluate_at = {max(1, round(total * part / count)) for part in range(1, count + 1)}
        rank = self.processes.rank if self.processes else 0
        if self.processes:
            torch.manual_seed(settings.seed + rank)  # equal adapters, and now dropout of its own
        found = load_checkpoint(self.work, fingerprint, parameters, optimizer, rank)
        history, best = found or (History(fingerprint=fingerprint), {})
        if not found:
            best = self._evaluate(history, best, parameters, loss)
        advance(history.step, total, "steps")
        stored = time.monotonic()
        while history.step < total and not history.stopped_early:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = batches.learning_rate(rate, history.step, total, settings)
            self._step(history, steps[history.step], parameters, optimizer, learned)
            if history.step in evaluate_at:
                best = self._evaluate(history, best, parameters, loss)
            if self._is_due(history.step, stored) or history.step == total or history.stopped_early:
                began = time.monotonic()
                history.peak_memory_bytes = max(history.peak_memory_bytes, peak_memory())
                random = self.processes.random_states() if self.processes else random_state()
                if not rank:
                    save_checkpoint(self.work, history, parameters, optimizer, best, random)
                stored = time.monotonic()
                history.seconds += stored - began
            advance(history.step, total, "steps")
        return history, best

    def _is_due(self, step: int, stored: float) -> bool:
        """Whether a checkpoint is due: by steps, or by the clock of the first process."""
        if self.settings.checkpoint_steps:
            return step % self.settings.checkpoint_steps == 0
        late = time.monotonic() - stored >= CHECKPOINT_SECONDS
        if self.processes:
            return bool(self.processes.sum(float(late and self.processes.first)))
        return late

    def _losses(self, step: Step) -> tuple[Loss, Loss]:
        """Return the loss of validation and the learned one, checked on a small pass of a step."""
        settings, sizes = self.settings, self.sizes
        # Noise and dropout differ from row to row, and a checkpointed pass keeps no cache.
        drawn = settings.neftune_alpha or settings.dropout
        # On a GPU a second pass through the layers costs more than it saves.
        share = not (drawn or settings.gradient_checkpointing or self.model.device.type == "cuda")
        share &= not self._sharded  # all processes run every block equally often
        several = [rows for rows in step if len(rows) > 1] or step
        few = min(several, key=lambda rows: len(rows) * max(sizes[row] for row in rows))
        while True:
            batch = self._batch(self.rows.train, few)
            try:
                loss = learned = supervised_loss(self.model, *batch, share_prefix=share)
                if self.teacher is not None:
                    learned = distilled_loss(self.model, self.teacher, settings, batch, share)
                return loss, learned
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or len(few) == 1 or self._sharded:
                    raise
            few = few[: len(few) // 2]
            free_memory()

    def _step(
        self, history: History, step: Step, parameters: dict[str, Any], optimizer: Any, loss: Loss
    ) -> None:
        """One update: each supervised token of the whole step weighs the same."""
        began = time.perf_counter()
        self.model.train()
        passes = [self.rows.train[rows] for rows in step]
        tokens = sum(supervised(labels) for each in passes for labels in each["labels"])

        def learn(rows: list[int]) -> Any:
            part = self._of(rows, self.rows.train, loss, self.noise) / tokens
            part.backward()
            return part.detach()

        mine = self.processes.part(step) if self.processes else step
        summed = self._summed(history, mine, self.sizes, learn)
        if self.processes:
            summed = self.processes.sum_gradients(parameters, summed)
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), self.settings.clip).item()
        if not (math.isfinite(summed) and math.isfinite(norm)):
            raise TrainingError(
                f"train: loss {summed} with gradient norm {norm} at step {history.step + 1}; "
                "expected numbers; lower train.learning_rate and delete the work folder "
                f"{self.work.name}"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        history.step += 1
        history.train_loss.append((history.step, summed))
        history.learning_rate.append((history.step, optimizer.param_groups[0]["lr"]))
        history.gradient_norm.append((history.step, norm))
        done = sum(len(ids) for each in passes for ids in each["input_ids"])
        seconds = time.perf_counter() - began
        history.step_speed.append((history.step, done / seconds))
        history.tokens += done
        history.seconds += seconds

    def _summed(
        self, history: History, step: Step, sizes: Sequence[int], each: Callable[[list[int]], Any]
    ) -> float:
        """Add up what the passes of a step give: tensors, waited for when all have begun.

        Where there is no memory for one, gradients and random numbers are those of the start again,
        and passes have half of its tokens from then on: of the same rows, the same sum.
        """
        random, packing = random_state(), bool(self.settings.packing)
        while True:
            room, done = history.room, list[Any]()
            passes = [
                part for rows in step for part in batches.cut(rows, sizes, room, packing=packing)
            ]
            try:
                for rows in passes:
                    done.append(each(rows))
                return math.fsum(map(float, done))
            except (MemoryError, RuntimeError) as error:
                few = self._sharded or len(passes[len(done)]) == 1
                if few or not is_out_of_memory(error):  # the other processes would wait for ever
                    raise
            # Not within the block: the error holds the tensors of the pass.
            self.model.zero_grad(set_to_none=True)
            set_random_state(random)
            free_memory()
            tried = batches.pass_size(passes[len(done)], sizes, packing=packing)
            history.room = tried // 2  # of two rows or more
            announce(
                f"train: no memory for a pass of {tried:,} tokens; the step is repeated with half "
                "of them (train.micro_batch_tokens)"
            )

    def _evaluate(
        self, history: History, best: dict[str, Any], parameters: dict[str, Any], loss: Loss
    ) -> dict[str, Any]:
        """Measure the validation loss; return the tensors of the best step so far."""
        now = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        if not len(self.rows.validation):
            history.best_step = history.step
            return now
        measured = self.validation_loss(loss, history)
        if not math.isfinite(measured):
            raise TrainingError(
                f"train: validation loss {measured} after step {history.step}; expected a number; "
                "lower train.learning_rate"
            )
        history.validation_loss.append((history.step, measured))
        if measured < history.gain_loss - self.settings.min_delta:
            history.gain_loss = measured
            history.evaluations_without_gain = 0
        else:
            history.evaluations_without_gain += 1
            history.stopped_early = history.evaluations_without_gain >= self.settings.patience
        if measured < history.best_loss:
            history.best_loss, history.best_step = measured, history.step
            return now
        return best

    def validation_loss(self, loss: Loss, history: History | None = None) -> float:
        """Return the mean loss of all supervised tokens of the validation rows, in nats."""
        self.model.eval()
        rows = self.rows.validation
        # No gradients are kept, so twice the rows fit.
        numbers, sizes, settings = range(len(rows)), lengths(rows), self.settings
        if settings.packing:
            room = 2 * batches.pack_room(settings, self.model.device.type)
            passes = batches.first_fit(numbers, sizes, room)
        else:
            assert settings.micro_batch_size and settings.micro_batch_tokens, "sized"
            size, room = 2 * settings.micro_batch_size, 2 * settings.micro_batch_tokens
            passes = batches.passes(numbers, sizes, size, room)
        if self.processes:
            passes = self.processes.part(passes)

        def measure(batch: list[int]) -> Any:
            return self._of(batch, rows, loss)

        with torch.no_grad():
            summed = self._summed(history or History(fingerprint=""), passes, sizes, measure)
        if self.processes:
            summed = self.processes.sum(summed)
        return summed / sum(supervised(labels) for labels in rows["labels"])

    @property
    def _sharded(self) -> bool:
        return self.processes is not None and self.processes.sharded

    def _of(
        self, numbers: list[int], rows: Any, loss: Loss, noise: EmbeddingNoise | None = None
    ) -> Any:
        """Return the loss of a pass; of an empty one 0, computed beside the other processes."""
        weight = 1 if numbers else 0
        return weight * loss(*self._batch(rows, numbers or [0], noise))

    def _batch(
        self, rows: Any, numbers: Sequence[int], noise: EmbeddingNoise | None = None
    ) -> tuple[Any, ...]:
        batch, packed = rows[list(numbers)], bool(self.settings.packing)
        if noise is not None:
            noise.expect(lengths(batch), packed=packed)
        return (batches.pack if packed else batches.collate)(batch, self.model.device)

"""The training loop itself: steps, validation, early stopping, checkpoints."""

import math
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.progress import advance
from pipeline.settings import TrainSettings
from pipeline.train.adapter import trainable
from pipeline.train.batches import Step, by_length, collate, learning_rate, plan_steps
from pipeline.train.checkpoint import History, load_checkpoint, save_checkpoint
from pipeline.train.loss import Loss, supervised_loss
from pipeline.train.rows import Rows, lengths, supervised


@dataclass(slots=True)
class Run:
    """One run of the loop."""

    model: Any
    rows: Rows
    pad: int
    settings: TrainSettings
    work: Path

    def go(self, fingerprint: str) -> tuple[History, dict[str, Any]]:
        """Train from the last checkpoint, or from the start, to the end."""
        import torch

        settings = self.settings
        parameters = trainable(self.model)
        optimizer = torch.optim.AdamW(parameters.values(), weight_decay=settings.weight_decay)
        steps = plan_steps(lengths(self.rows.train), settings)
        total = len(steps)
        loss = supervised_loss(self.model, *self._batch(self.rows.train, steps[0][0]))
        evaluate_at = {
            max(1, round(total * part / settings.evaluations))
            for part in range(1, settings.evaluations + 1)
        }
        found = load_checkpoint(self.work, fingerprint, parameters, optimizer)
        if found:
            history, best = found
        else:
            history, best = History(fingerprint), {}
            best = self._evaluate(history, best, parameters, loss)
        advance(history.step, total, "steps")
        while history.step < total and not history.stopped_early:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(history.step, total, settings)
            self._step(history, steps[history.step], parameters, optimizer, loss)
            if history.step in evaluate_at:
                best = self._evaluate(history, best, parameters, loss)
            done = history.step == total or history.stopped_early
            if done or history.step % settings.checkpoint_steps == 0:
                history.peak_memory_bytes = max(history.peak_memory_bytes, peak_memory())
                save_checkpoint(self.work, history, parameters, optimizer, best)
            advance(history.step, total, "steps")
        return history, best

    def _step(
        self,
        history: History,
        step: Step,
        parameters: dict[str, Any],
        optimizer: Any,
        loss: Loss,
    ) -> None:
        """One update: each supervised token of the whole step weighs the same."""
        import torch

        began = time.perf_counter()
        self.model.train()
        batches = [self.rows.train[rows] for rows in step]
        tokens = sum(supervised(labels) for batch in batches for labels in batch["labels"])
        summed = 0.0
        for rows in step:
            part = loss(*self._batch(self.rows.train, rows)) / tokens
            part.backward()
            summed += part.item()
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
        history.tokens += sum(len(ids) for batch in batches for ids in batch["input_ids"])
        history.seconds += time.perf_counter() - began

    def _evaluate(
        self, history: History, best: dict[str, Any], parameters: dict[str, Any], loss: Loss
    ) -> dict[str, Any]:
        """Measure the validation loss; return the tensors of the best step so far."""
        now = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        if not len(self.rows.validation):
            history.best_step = history.step
            return now
        measured = self.validation_loss(loss)
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

    def validation_loss(self, loss: Loss) -> float:
        """Return the mean loss of all supervised tokens of the validation rows, in nats."""
        import torch

        self.model.eval()
        rows = self.rows.validation
        # No gradients are kept, so twice the rows fit.
        batches = by_length(lengths(rows), 2 * self.settings.micro_batch_size)
        with torch.no_grad():
            summed = math.fsum(loss(*self._batch(rows, batch)).item() for batch in batches)
        return summed / sum(supervised(labels) for labels in rows["labels"])

    def _batch(self, rows: Any, numbers: Sequence[int]) -> tuple[Any, Any]:
        return collate(rows[list(numbers)], self.pad, self.model.device)


def peak_memory() -> int:
    """Return the peak memory in bytes: of the tensors on a GPU, else of this process so far."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

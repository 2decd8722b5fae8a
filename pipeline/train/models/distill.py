"""Logit distillation: learn the distribution of a larger local model, not its words alone.

The loss of a supervised token is ``(1 - w) x cross entropy + w x T^2 x KL(teacher || student)``,
both distributions at temperature T (Hinton et al. 2015, arXiv 1503.02531), with one tokenizer.
Validation stays plain cross entropy, so that runs compare.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat import IGNORED
from pipeline.train.models.base_model import BaseModel, load_model, load_tokenizer, resolve_model
from pipeline.train.models.device import choose_device


def find_teacher(settings: TrainSettings, models_dir: Path) -> BaseModel | None:
    """Return the model to distill from, or None; TrainingError where its folder is no model."""
    if settings.distill_model is None or not settings.distill_weight:
        return None
    folder = ModelSettings(base_model=str(settings.distill_model.expanduser().resolve()))
    return resolve_model(folder, models_dir)


def load_teacher(teacher: BaseModel, tokenizer: Any, model_settings: ModelSettings) -> Any:
    """Load the teacher, frozen; raises TrainingError where its tokenizer is another one."""
    other = load_tokenizer(teacher.path)
    if (theirs := other.get_vocab()) != (ours := tokenizer.get_vocab()):
        differ = len(set(theirs.items()) ^ set(ours.items()))
        raise TrainingError(
            f"train.distill_model {teacher.name}: another tokenizer than the base model's "
            f"({len(theirs):,} and {len(ours):,} tokens, {differ:,} entries differ); expected the "
            "same one, or its distribution means other tokens; choose a model of the same family, "
            "or let the teacher write the answers (tuneloop synthesize)"
        )
    return load_model(teacher.path, choose_device(model_settings)).requires_grad_(False)


def distilled_loss(
    model: Any, teacher: Any, settings: TrainSettings, batch: tuple[Any, ...], share_prefix: bool
) -> Callable[..., Any]:
    """Return the loss function of a student (:data:`pipeline.train.batch.loss.Loss`)."""
    import torch
    from torch.nn.functional import cross_entropy

    from pipeline.train.batch.loss import logits_of

    _, student, _ = logits_of(model, *batch, share_prefix=share_prefix)
    _, guide, _ = logits_of(teacher, *batch, share_prefix=share_prefix)
    weight = settings.distill_weight

    def loss(input_ids: Any, labels: Any, position_ids: Any = None) -> Any:
        supervised = labels[:, 1:] != IGNORED
        logits = student(input_ids, supervised, position_ids).float()
        with torch.no_grad():
            target = guide(input_ids, supervised, position_ids).float()
        words = cross_entropy(logits, labels[:, 1:][supervised], reduction="sum")
        apart = divergence(logits, target, settings.distill_temperature)
        return (1 - weight) * words + weight * apart

    return loss


def divergence(logits: Any, target: Any, temperature: float) -> Any:
    """Return ``T^2 x KL(teacher || student)``, summed over positions, in nats.

    Both are logits, shape (positions, vocabulary); a head padded to more words is cut to the
    shorter one.
    """
    from torch.nn.functional import kl_div, log_softmax

    width = min(logits.shape[-1], target.shape[-1])
    ours = log_softmax(logits[:, :width] / temperature, dim=-1)
    theirs = log_softmax(target[:, :width] / temperature, dim=-1)
    return kl_div(ours, theirs, reduction="sum", log_target=True) * temperature**2

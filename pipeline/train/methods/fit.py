"""Whether a method can be put on a model: asked before anything is trained."""

from typing import Any

from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import (
    AFTER_ATTENTION,
    AFTER_MLP,
    WITHOUT_EXPERTS,
    find_targets,
    keeps_keys,
    last_layers,
    listed,
    refuse,
)


def check_targets(model: Any, settings: TrainSettings) -> None:
    """Refuse a method that cannot be put on a model, before anything is trained.

    Raises:
        TrainingError: the layers that the method works on are not in the model.
    """
    method, found = settings.method, find_targets(model)
    linear = found.attention + found.mlp
    needed = {
        "houlsby": last_layers(found.attention, AFTER_ATTENTION)
        and last_layers(found.mlp, AFTER_MLP),
        "pfeiffer": last_layers(found.mlp, AFTER_MLP),
        "hybrid": found.attention and last_layers(found.mlp, AFTER_MLP),
        "ia3": linear,
    }
    kind = settings.targets
    if kind is not None:
        of_kind = {"attention": found.attention, "mlp": found.mlp + found.experts}
        needed[method] = of_kind.get(kind, linear)
    if not needed.get(method, True):
        refuse(model, method, f"has no linear layers that it works on ({listed(found)})")
    if found.experts and method in WITHOUT_EXPERTS and kind != "attention":
        what = f"has experts in one tensor each ({found.experts[0]}), which it cannot change"
        refuse(model, method, what, 'train.targets = "attention" (dora, pissa, eva), or "lora"')
    if found.experts and kind not in (None, "attention") and settings.dropout:
        what = f"has experts in one tensor each ({found.experts[0]}), which know no dropout"
        refuse(model, method, what, "train.dropout = 0")
    if method == "pissa" and settings.rank:
        paths = {"attention": found.attention, "mlp": found.mlp}.get(kind or "", linear)
        narrow = min(paths, key=lambda path: min(model.get_submodule(path).weight.shape))
        most = min(model.get_submodule(narrow).weight.shape)
        if settings.rank > most:
            what = f"has a layer of {most} singular vectors ({narrow}), fewer than the rank"
            refuse(model, method, what, f"train.rank = {most} or less")
    if settings.packing and not keeps_keys(model.get_decoder()):
        what = "has layers of linear attention, through which packed rows would see each other"
        refuse(model, method, what, "train.packing = false")

"""Training weights of the base itself: all of them, or its norms and biases.

The trained tensors are float32, and the model sees them rounded to the compute type: bfloat16 would
not move, and float32 throughout takes 2.4 times as long. Stored are the rounded weights.
"""

from collections.abc import Collection
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import TokenRows, norms_and_biases, text_parameters


def full(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Train every weight; tied weights stay tied."""
    return _train(model, text_parameters(model))


def selective(model: Any, settings: TrainSettings, rows: TokenRows = ()) -> Any:
    """Train norms and biases; raises TrainingError where the model has neither."""
    names = norms_and_biases(model)
    if not names:
        raise TrainingError(
            "method selective: the base model has no norms and no biases by name; expected some; "
            "choose another train.method"
        )
    return _train(model, names)


def plain_weights(model: Any) -> None:
    """Put what the model sees in the place of what is trained behind it, in place; ties stay.

    That are rounded weights for float32 copies, and PiSSA's matrices for their trained halves.
    """
    import torch
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    from pipeline.train.methods.layers import Beside, Rounded

    done: dict[int, Any] = {}
    for module in list(model.modules()):
        if not is_parametrized(module):
            continue
        for name, chain in list(module.parametrizations.items()):
            if not isinstance(chain[0], Beside | Rounded):
                continue
            trained = id(chain.original)
            if trained not in done:
                seen = getattr(module, name).detach()
                done[trained] = torch.nn.Parameter(seen, requires_grad=False)
            remove_parametrizations(module, name, leave_parametrized=False)
            setattr(module, name, done[trained])


def _train(model: Any, names: Collection[str]) -> Any:
    import torch
    from torch.nn.utils.parametrize import register_parametrization

    from pipeline.train.methods.layers import Rounded

    model.requires_grad_(False)
    exact: dict[int, Any] = {}  # by the parameter's identity: tied weights share one
    for path, parameter in list(model.named_parameters(remove_duplicate=False)):
        if path not in names:
            continue
        if id(parameter) not in exact:
            exact[id(parameter)] = torch.nn.Parameter(parameter.detach().float().clone())
        parent, _, name = path.rpartition(".")
        module = model.get_submodule(parent)
        setattr(module, name, exact[id(parameter)])
        if parameter.dtype != torch.float32:
            # unsafe: the parametrization changes the type, which torch would refuse.
            register_parametrization(module, name, Rounded(parameter.dtype), unsafe=True)
            # torch keeps a tensor of its own there; the tied one goes back in.
            module.parametrizations[name].original = exact[id(parameter)]
    return model

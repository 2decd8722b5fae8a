"""Training weights of the base itself: all of them, or its norms and biases.

The trained tensors are kept in float32, and the model sees them rounded to the compute type:
bfloat16 weights would not move, and float32 throughout takes 2.4 times as long here. What is stored
is the rounded weight that the model was judged with.
"""

from collections.abc import Collection, Sequence
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.methods.targets import norms_and_biases, text_parameters


def full(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Train every weight; tied weights stay tied."""
    return _train(model, text_parameters(model))


def selective(model: Any, settings: TrainSettings, rows: Sequence[Sequence[int]] = ()) -> Any:
    """Train norms and biases; raises TrainingError where the model has neither."""
    names = norms_and_biases(model)
    if not names:
        raise TrainingError(
            "method selective: the base model has no norms and no biases by name; expected some; "
            "choose another train.method"
        )
    return _train(model, names)


def plain_weights(model: Any) -> None:
    """Put the rounded weights in the place of their float32 copies, in place; ties stay."""
    import torch
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    from pipeline.train.methods.layers import Rounded

    done: dict[int, Any] = {}
    for module in list(model.modules()):
        if not is_parametrized(module):
            continue
        for name, chain in list(module.parametrizations.items()):
            if not isinstance(chain[0], Rounded):
                continue
            exact = chain.original
            if id(exact) not in done:
                rounded = getattr(module, name).detach()
                done[id(exact)] = torch.nn.Parameter(rounded, requires_grad=False)
            remove_parametrizations(module, name, leave_parametrized=False)
            setattr(module, name, done[id(exact)])


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

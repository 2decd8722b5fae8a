"""What attends while a model trains: one kernel for a CPU, one for packed rows on a GPU."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pipeline.core.errors import TrainingError
from pipeline.train.loop.fused import liger_kernels
from pipeline.train.methods.layers import Prompted
from pipeline.train.methods.targets import keeps_keys
from pipeline.train.peak_memory import is_out_of_memory
from pipeline.train.proofs.model import prove_apart


@contextmanager
def attention(model: Any, teacher: Any, *, apart: bool) -> Iterator[None]:
    """Let a model attend fast while it trains, maybe beside the teacher that it is distilled of.

    ``apart``: :func:`packs` says that the GPU's kernel for packed rows suits them. What belongs to
    the other kind of device is not imported.
    """
    with ExitStack() as stack:
        if model.device.type == "cpu":
            from pipeline.train.cpu.attention import blocked_attention

            stack.enter_context(blocked_attention(model))
        else:
            from pipeline.train.gpu import varlen

            if apart:
                models = [each for each in (model, teacher) if each is not None]
                stack.enter_context(varlen.varlen_attention(*models))
            if kernels := liger_kernels():
                stack.enter_context(kernels.rotary(model))
        yield


def packs(model: Any, teacher: Any, rows: Sequence[Mapping[str, list[int]]]) -> bool:
    """Whether a GPU's kernel keeps packed rows apart: they are packed then where nobody says so.

    Rows are padded where they would see each other otherwise (a state, a convolution), or the
    kernel refuses a model.
    """
    from pipeline.train.gpu import varlen

    models = [each for each in (model, teacher) if each is not None]
    decoders = [each.get_decoder() for each in models]
    plain = all(keeps_keys(each) and not isinstance(each, Prompted) for each in decoders)
    if not plain or not all(map(varlen.takes, models)):
        return False
    try:
        with varlen.varlen_attention(*models):
            prove_apart(model, rows)
    except (TrainingError, RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        return False
    return True

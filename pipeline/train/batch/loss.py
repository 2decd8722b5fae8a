"""The loss of a batch: cross entropy of the supervised tokens, and of them alone."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import Function
from torch.nn.functional import cross_entropy

from pipeline.text.chat import IGNORED
from pipeline.train.batch.batches import GPU_PIECE, PIECE
from pipeline.train.methods.targets import keeps_keys
from pipeline.train.peak_memory import is_out_of_memory

Loss = Callable[..., Any]  # from token ids, labels and positions of packed rows to nats, summed
MIN_SHARED = 0.2  # least share of a batch's tokens for which a common beginning is computed apart
MAX_LOGITS_ERROR = 0.01  # relative difference that rounding explains: bfloat16 keeps 8 bits, 0.004


class HeadLoss(Function):
    """Summed cross entropy behind a frozen output head, a piece of the tokens at a time.

    Only the gradient of the states stays (Wijmans et al. 2024, "Cut Your Losses", in plain torch).
    """

    @staticmethod
    def forward(ctx: Any, states: Any, weight: Any, targets: Any) -> Any:
        """Return the loss in nats, float32, of states (tokens, width) and targets (tokens,)."""
        parts = []
        gradient = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        size = PIECE if states.device.type == "cpu" else GPU_PIECE
        for first in range(0, len(states), size):
            piece, ids = states[first : first + size], targets[first : first + size, None]
            logs = torch.log_softmax((piece @ weight.t()).float(), -1)
            parts.append(-logs.gather(1, ids).sum())
            if gradient is not None:
                of_logits = logs.exp_()
                of_logits.scatter_add_(1, ids, torch.full_like(ids, -1, dtype=logs.dtype))
                gradient[first : first + size] = of_logits.to(states.dtype) @ weight
        ctx.save_for_backward(gradient)
        return torch.stack(parts).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None, None]:
        """Return the gradient of the states."""
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None


def supervised_loss(
    model: Any, input_ids: Any, labels: Any, position_ids: Any = None, *, share_prefix: bool = False
) -> Loss:
    """Return the summed cross entropy of a model, as :func:`logits_of` takes it."""
    batch = (input_ids, labels, position_ids)
    states, logits, head = logits_of(model, *batch, share_prefix=share_prefix)
    # Only the gradient of the states is made in pieces: a head that is trained wants its own.
    plain = getattr(head, "bias", None) is None and type(head) is torch.nn.Linear
    plain = plain and not head.weight.requires_grad

    def loss(input_ids: Any, labels: Any, position_ids: Any = None) -> Any:
        supervised = labels[:, 1:] != IGNORED
        targets = labels[:, 1:][supervised]
        if plain and states is not None:
            given = states(input_ids, supervised, position_ids)
            return HeadLoss.apply(given, head.weight, targets)  # type: ignore[no-untyped-call]
        found = logits(input_ids, supervised, position_ids).float()
        return cross_entropy(found, targets, reduction="sum")

    return loss


def logits_of(
    model: Any, input_ids: Any, labels: Any, position_ids: Any = None, *, share_prefix: bool = False
) -> tuple[Callable[..., Any] | None, Callable[..., Any], Any]:
    """Return functions of a model's states for its head and of its logits, and the head.

    The logits, checked against the model's own on one batch, are a function of token ids, the
    supervised positions (True where the next token is supervised, shape (rows, tokens - 1)) and the
    positions of packed rows; (supervised tokens, vocabulary): the head runs on supervised positions
    only. The tokens that all rows begin with (the system prompt) go through the model once where
    ``share_prefix`` allows it (not with noise for each row, or without a cache while it trains);
    gradients flow back through their keys and values. A model that does more than multiply by its
    head (Gemma caps its logits, Granite scales them), or whose cache is another, shows in the
    check: the next plainer way is used, at last its own forward pass, of which the states are None.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, head = causal.get_decoder(), causal.get_output_embeddings()

    def prefix_once(input_ids: Any, supervised: Any, position_ids: Any = None) -> Any:
        shared = common_prefix(input_ids, supervised) if position_ids is None else 0
        if not shared:
            return head_alone(input_ids, supervised, position_ids)
        cache = decoder(input_ids=input_ids[:1, :shared], use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(input_ids))
        found = decoder(input_ids=input_ids[:, shared:], past_key_values=cache, use_cache=True)
        return found.last_hidden_state[:, :-1][supervised[:, shared:]]

    def head_alone(input_ids: Any, supervised: Any, position_ids: Any = None) -> Any:
        found = decoder(input_ids=input_ids, position_ids=position_ids, use_cache=False)
        return found.last_hidden_state[:, :-1][supervised]

    chooses = "logits_to_keep" in inspect.signature(causal.forward).parameters

    def whole_model(input_ids: Any, supervised: Any, position_ids: Any = None) -> Any:
        kept = supervised.any(0).nonzero().flatten()
        places = kept - input_ids.shape[1]  # from the end: a prompt may stand before
        given = {"logits_to_keep": places} if chooses else {}
        found = model(input_ids=input_ids, position_ids=position_ids, use_cache=False, **given)
        logits = found.logits
        return (logits if chooses else logits[:, places])[supervised[:, kept]]

    training = model.training
    model.eval()
    with torch.no_grad():
        supervised = labels[:, 1:] != IGNORED
        # A few of each row: logits of all of them may take more memory than the training.
        few = max(1, PIECE // len(supervised))
        supervised &= supervised.cumsum(1) <= few
        expected = whole_model(input_ids, supervised, position_ids).float()

        def agrees(way: Callable[..., Any]) -> bool:
            try:
                found = head(way(input_ids, supervised, position_ids)).float()
            except (AttributeError, RuntimeError, TypeError, ValueError) as error:
                if is_out_of_memory(error):
                    raise
                return False  # another kind of decoder or cache: the next way is plainer
            apart = (found - expected).norm().item()
            return bool(apart <= MAX_LOGITS_ERROR * expected.norm().item())

        shares = share_prefix and position_ids is None and common_prefix(input_ids, supervised) > 0
        shares = shares and keeps_keys(decoder)  # a state changes in place: no gradients
        states = None
        if agrees(head_alone):
            states = prefix_once if shares and agrees(prefix_once) else head_alone
    model.train(training)
    if states is None:
        return None, whole_model, head
    return states, lambda *batch: head(states(*batch)), head


def common_prefix(input_ids: Any, supervised: Any) -> int:
    """Return how many first tokens all rows have in common, none of which predicts a trained one.

    0 when to compute them once would save less than :data:`MIN_SHARED` of the batch's tokens.
    """
    rows, tokens = input_ids.shape
    alike = (input_ids[:, :-1] == input_ids[:1, :-1]).all(0) & ~supervised.any(0)
    shared = int(alike.int().cumprod(0).sum())
    return shared if shared * (rows - 1) >= MIN_SHARED * rows * tokens else 0

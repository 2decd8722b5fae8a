"""The loss of a batch: cross entropy of the supervised tokens, and of them alone."""

from collections.abc import Callable
from typing import Any

from pipeline.dataset.chat import IGNORED

Loss = Callable[[Any, Any], Any]
"""From token ids and labels, shape (rows, tokens), to the summed loss in nats, a scalar tensor."""

MAX_LOGITS_ERROR = 0.01
"""Relative difference of the logits that rounding explains: bfloat16 keeps 8 bits, 0.004."""


def supervised_loss(model: Any, input_ids: Any, labels: Any) -> Loss:
    """Return the loss function of a model, checked against the model's own logits on one batch.

    The output head runs on supervised positions only: with a vocabulary of 49,152 and a third of
    the tokens supervised, that is a quarter more tokens a second. A model that does more than
    multiply by its head (Gemma caps its logits, Granite scales them) shows in the check, and its
    own forward pass is used.

    Args:
        model: a causal language model of transformers, with or without a PEFT adapter.
        input_ids: a batch for the check, shape (rows, tokens), with at least one supervised
            token.
        labels: its labels, unshifted, -100 where nothing is trained.
    """
    import torch
    from torch.nn.functional import cross_entropy

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, head = causal.get_decoder(), causal.get_output_embeddings()

    def head_alone(input_ids: Any, wanted: Any) -> Any:
        states = decoder(input_ids=input_ids, use_cache=False).last_hidden_state
        return head(states[:, :-1][wanted])

    def whole_model(input_ids: Any, wanted: Any) -> Any:
        return model(input_ids=input_ids, use_cache=False).logits[:, :-1][wanted]

    training = model.training
    model.eval()
    with torch.no_grad():
        wanted = labels[:, 1:] != IGNORED
        expected = whole_model(input_ids, wanted).float()
        error = (head_alone(input_ids, wanted).float() - expected).norm() / expected.norm()
    model.train(training)
    logits_of = head_alone if error.item() <= MAX_LOGITS_ERROR else whole_model

    def loss(input_ids: Any, labels: Any) -> Any:
        wanted = labels[:, 1:] != IGNORED
        logits = logits_of(input_ids, wanted).float()
        return cross_entropy(logits, labels[:, 1:][wanted], reduction="sum")

    return loss

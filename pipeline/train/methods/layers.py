"""The modules that methods put into a model, besides PEFT's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache


class Beside(nn.Module):
    """A parametrization: a trained matrix with a frozen one beside it along an axis."""

    def __init__(self, frozen: Tensor, axis: int) -> None:
        super().__init__()
        self.register_buffer("frozen", frozen, persistent=False)
        self.frozen: Tensor
        self.axis = axis

    def forward(self, trained: Tensor) -> Tensor:
        """Return both as one."""
        return torch.cat([trained, self.frozen], dim=self.axis)


class Rounded(nn.Module):
    """A parametrization: a float32 tensor seen in another type; its gradient stays float32."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, trained: Tensor) -> Tensor:
        """Return the tensor in the other type."""
        return trained.to(self.dtype)


class Bottleneck(nn.Module):
    """A linear layer with an adapter on its output: ``y + up(relu(down(y)))``, in float32.

    ``up`` starts at zero, so that the model starts as it was.
    """

    def __init__(self, base: Any, width: int) -> None:
        super().__init__()
        self.base = base
        device = base.weight.device
        outputs = getattr(base, "out_features", None) or base.nf  # GPT-2's Conv1D
        self.down = nn.Linear(outputs, width, device=device, dtype=torch.float32)
        self.up = nn.Linear(width, outputs, device=device, dtype=torch.float32)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the adapted output, in the type of the layer's own."""
        output: Tensor = self.base(inputs)
        wide = output.float()
        change: Tensor = self.up(torch.relu(self.down(wide)))
        return (wide + change).to(output.dtype)


class Table(nn.Module):
    """A trained table, in float32."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.detach().float().clone())

    def forward(self) -> Tensor:
        """Return the table (places, width)."""
        return self.weight


class Network(Table):
    """A trained table plus a network of it, whose last layer starts at zero."""

    def __init__(self, start: Tensor) -> None:
        super().__init__(start)
        width, device = start.shape[1], start.device
        self.inner = nn.Linear(width, width, device=device, dtype=torch.float32)
        self.outer = nn.Linear(width, width, device=device, dtype=torch.float32)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self) -> Tensor:
        """Return the table to use (places, width)."""
        changed: Tensor = self.outer(torch.relu(self.inner(self.weight)))
        return self.weight + changed


class Prompted(nn.Module):
    """A decoder with trained embeddings before each row, called like a decoder without one.

    Callers never see them: their masks, positions and hidden states are about their own tokens.
    """

    def __init__(self, decoder: Any, encoder: Callable[[], Tensor]) -> None:
        super().__init__()
        self.decoder = decoder  # first: a model's dtype is that of its first parameter
        self.encoder = encoder
        self.config = decoder.config
        self.places = int(encoder().shape[0])

    @property
    def embed_tokens(self) -> Any:
        """The input embedding, where transformers looks for it."""
        return self.decoder.get_input_embeddings()

    def get_input_embeddings(self) -> Any:
        """Return it to models that call it otherwise (GPT-2: ``wte``)."""
        return self.embed_tokens

    def get_decoder(self) -> "Prompted":
        """Return itself: what runs the decoder alone must not pass the trained places by."""
        return self

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, past_key_values: Any = None,
        inputs_embeds: Tensor | None = None, use_cache: bool | None = None, **more: Any,
    ) -> Any:  # fmt: skip
        """Run the decoder, as transformers calls it; last_hidden_state is (rows, tokens, width)."""
        embeds = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        fresh = past_key_values is None or past_key_values.get_seq_length() == 0
        rows = len(embeds)
        if attention_mask is not None:
            ones = attention_mask.new_ones((rows, self.places))
            attention_mask = torch.cat([ones, attention_mask], dim=1)
        elif fresh and position_ids is not None:
            attention_mask = self._packed(position_ids.expand(rows, -1))
        if position_ids is not None:
            position_ids = position_ids + self.places
        more |= {
            "attention_mask": attention_mask, "position_ids": position_ids,
            "past_key_values": past_key_values, "use_cache": use_cache,
        }  # fmt: skip
        return self._begin(embeds, **more) if fresh else self.decoder(inputs_embeds=embeds, **more)

    def _begin(self, embeds: Tensor, *, position_ids: Tensor | None, **more: Any) -> Any:
        """Run the first pass over rows: the trained embeddings go before them."""
        rows = len(embeds)
        trained = self.encoder().to(embeds.dtype).expand(rows, -1, -1)
        if position_ids is not None:
            own = torch.arange(self.places, device=embeds.device).expand(rows, -1)
            position_ids = torch.cat([own, position_ids.expand(rows, -1)], dim=1)
        output = self.decoder(
            inputs_embeds=torch.cat([trained, embeds], dim=1), position_ids=position_ids, **more
        )
        output.last_hidden_state = output.last_hidden_state[:, self.places :]
        return output

    def _packed(self, positions: Tensor) -> Tensor | None:
        """Return the mask of packed rows, (rows, 1, queries, keys), or None when none are."""
        starts = positions.diff(dim=1) != 1
        if not bool(starts.any()):
            return None
        number = nn.functional.pad(starts.cumsum(1), (1, 0))
        allowed = (number[:, :, None] == number[:, None, :]).tril()
        allowed = nn.functional.pad(allowed, (self.places, 0), value=True)
        return self._queries(allowed)[:, None]

    def _queries(self, allowed: Tensor) -> Tensor:
        """Add the rows of the trained places, which see those before them."""
        own = torch.ones(self.places, allowed.shape[2], dtype=torch.bool, device=allowed.device)
        return torch.cat([own.tril().expand(len(allowed), -1, -1), allowed], dim=1)


class Prefixed(Prompted):
    """A decoder with trained keys and values before each row, in each layer."""

    def heads_and_width(self) -> tuple[int, int]:
        """Return the number of heads of keys and values, and the width of one."""
        shape = self.config
        heads = getattr(shape, "num_key_value_heads", None) or shape.num_attention_heads
        return heads, int(self.encoder().shape[1]) // (2 * shape.num_hidden_layers * heads)

    def _begin(self, embeds: Tensor, *, position_ids: Tensor | None, **more: Any) -> Any:
        """Run the first pass over rows: the cache starts with the trained keys and values."""
        cache = more.pop("past_key_values")
        cache = DynamicCache(config=self.config) if cache is None else cache
        heads, width = self.heads_and_width()
        # (places, layers * 2 * heads * width), as PEFT has it, to (layers, 2, heads, places, width)
        trained = self.encoder().view(self.places, -1, 2, heads, width).permute(1, 2, 3, 0, 4)
        for layer, (keys, values) in enumerate(trained.to(embeds.dtype)):
            rows = (len(embeds), -1, -1, -1)
            cache.update(keys.expand(rows), values.expand(rows), layer)
        output = self.decoder(
            inputs_embeds=embeds, position_ids=position_ids, past_key_values=cache, **more
        )
        if more["use_cache"] is False:
            output.past_key_values = None
        return output

    def _queries(self, allowed: Tensor) -> Tensor:
        """Leave the mask alone: keys and values ask nothing."""
        return allowed

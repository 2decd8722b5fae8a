"""Settings of export: when a model in another form still counts as the same model."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import Section


class ExportSettings(Section):
    """Merged weights, adapters and GGUF files for servers, each compared with the adapter."""

    prompts: Annotated[int, Field(ge=1)] = 64
    """Questions that both forms answer; from the examples of the model, test rows first."""
    new_tokens: Annotated[int, Field(ge=1)] = 24
    """Greedy tokens of each answer that are compared."""
    max_changed_prompts: Annotated[int, Field(ge=0)] = 0
    """Prompts whose greedy tokens may differ; in bfloat16 also those between whose words the
    adapter decides by less than ``max_logit_difference``. Merged weights are stored in the type of
    the base, and in float32 where they fail in that; a GGUF file is float16, and a base beside an
    adapter its own type, or is not written."""
    max_logit_difference: Annotated[float, Field(gt=0)] = 0.05
    """In float32, over all compared positions (tests/benchmarks/merge_parity.py prints it); 8 times
    that for weights in bfloat16, which has 3 bits less."""
    max_kl: Annotated[float, Field(gt=0)] = 0.001
    """Divergence of the next-token distribution, nats, at the worst token: computed in float32, and
    in the type of the weights, as servers do; 64 times that for bfloat16."""
    serve_with: Literal["any", "vllm"] = "any"
    """``vllm`` refuses, before training, a method or rank that vLLM cannot serve as an adapter;
    merged weights it serves whatever was trained."""
    max_lora_rank: Annotated[int, Field(ge=1)] = 16
    """What the vLLM server is started with (``--max-lora-rank``, whose default this is)."""

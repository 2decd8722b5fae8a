"""Settings of evaluation: how models are compared."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import Section


class LargerSettings(Section):
    """A larger model that answers the test set too, as an arm of its own; off without a name."""

    kind: Literal["openai", "local"] = "openai"
    """``openai``: behind an OpenAI-compatible endpoint; ``local``: a model in this process."""
    model: str = ""
    """Name of the model at the endpoint; of a local one its folder or Hugging Face id."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """The key is read from OPENAI_API_KEY."""
    prompt_price: Annotated[float, Field(ge=0)] = 0.0
    """Of a million prompt tokens; 0 for both prices shows no price."""
    completion_price: Annotated[float, Field(ge=0)] = 0.0
    """Of a million tokens that it writes."""


class EvaluateSettings(Section):
    """The frozen test set."""

    arms: tuple[
        Literal["few_shot", "retrieval", "chain_of_thought", "challenger_retrieval"], ...
    ] = ("few_shot", "retrieval", "challenger_retrieval")
    """Beside base, champion and challenger. ``chain_of_thought`` writes up to ``thinking_tokens``
    more: worth switching on for a model that can reason."""
    few_shot: Annotated[int, Field(ge=0, le=16)] = 3
    """Examples from train in the few-shot arm, the nearest by words; 0 leaves the arm out."""
    retrieved_chunks: Annotated[int, Field(ge=1, le=16)] = 1
    """Chunks in the prompt of the retrieval arms, the best by BM25."""
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """Of an answer, which is cut there. Empty: half as many again as all but the longest twentieth
    of the references have, at least 64 and at most 1,024."""
    thinking_tokens: Annotated[int, Field(ge=0)] = 64
    """Written before the answer by chain of thought: on top of ``max_new_tokens``."""
    max_tokens: Annotated[int, Field(ge=32)] = 1024
    """Prompt and reference response; few-shot examples that do not fit are left out."""
    batch_size: Annotated[int, Field(ge=1)] = 24
    """Rows decoded at once: 6 answers of 20 tokens take 1.4 s together, 2.3 s as 4 and 2."""
    bootstrap_draws: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    max_test_rows: Annotated[int, Field(ge=0)] = 0
    """A seeded sample of a large test set; 0 takes all rows."""
    seeds: Annotated[int, Field(ge=1, le=10)] = 1
    """Trainings of the recipe, each from another seed: of one, a gain is measured of the adapter
    and not claimed of the recipe. Each further one costs a training; only its losses are taken."""
    metrics: tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...] = ()
    """Metrics of your own, as ``my_metrics:score``: a function of answer, reference, question and
    passage in a module of the working directory; shown beside the others, higher is better."""
    placebo: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of the challenger's steps that a placebo is trained for: on the same rows, with the
    answers dealt to other documents' questions. What it gains is form and not knowledge, so the
    challenger must be right more often. 0 trains none."""
    prompt_price: Annotated[float, Field(ge=0)] = 0.0
    """Of a million prompt tokens at your endpoint, in your currency; 0 shows no price."""
    completion_price: Annotated[float, Field(ge=0)] = 0.0
    """Of a million tokens that the model writes."""
    seed: int = 23

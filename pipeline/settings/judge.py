"""Settings of the judge: a model behind an endpoint that grades and compares answers."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import Extra, Section, Share


class JudgeSettings(Section):
    """A model behind an endpoint that grades and compares answers; off until a model is named."""

    model: str = ""
    """Model name at the endpoint; empty: no judge. Never the base model itself or its kin."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """OpenAI-compatible; the key is read from OPENAI_API_KEY."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    timeout_seconds: Annotated[float, Field(gt=0)] = 120
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    max_tokens: Annotated[int, Field(ge=1)] = 8
    """Of a reply: one word is asked for."""
    thinking_tokens: Annotated[int, Field(ge=0)] = 2048
    """Room for thoughts, added to each request once a reply shows that the model thinks."""
    extra: Extra = Field(default_factory=dict)
    """Further fields of each request, as in [teacher]."""
    min_kappa: Share = 0.6
    """Cohen's kappa with people from which the judge counts, in the gate and as a screen."""
    min_decisions: Annotated[int, Field(ge=2)] = 30
    """Decisions of people that kappa needs; with fewer the judge is shown and does not count. Of
    judges whose kappa is 0.3, 6 in 100 reach 0.6 on 30 decisions, 26 on 10 (binomial)."""
    max_decisions: Annotated[int, Field(ge=2)] = 100
    """Decisions it is compared on, by a hash."""
    bootstrap_draws: Annotated[int, Field(ge=100)] = 2000
    seed: int = 29

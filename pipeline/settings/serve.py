"""Settings of serving: where the gateway listens, which model answers, what is logged."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.core.remote import holds_secret
from pipeline.settings.base import Section


class ServeSettings(Section):
    """``tuneloop serve``: an OpenAI-compatible endpoint, and a page to ask in."""

    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a key in TUNELOOP_SERVE_KEY, which
    every request then has to bring as ``Authorization: Bearer``."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8600
    upstream: str = ""
    """Server of the exported model (vLLM, llama.cpp, Ollama), as in ``http://127.0.0.1:8000/v1``;
    its key is TUNELOOP_UPSTREAM_KEY. Empty: the champion answers in this process."""
    upstream_model: str = ""
    """What the model is called there. Empty: the first that the server lists."""
    retrieval: Literal["verdict", "on", "off"] = "verdict"
    """Whether passages of the documents go before a question (``evaluate.retrieved_chunks``):
    ``verdict``: as the champion was judged."""
    log: bool = False
    """Whether questions and answers are logged for the drift check, without personal data
    (``clean.redact``): into ``paths.logs``, else into ``exchanges`` of the home folder."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Of an answer whose request sets no limit."""
    waiting: Annotated[int, Field(ge=0)] = 32
    """Requests that wait while another one is answered; more are refused (429)."""

    @field_validator("upstream")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and (not value.startswith(("http://", "https://")) or holds_secret(value)):
            raise ValueError("expected http://HOST/v1 without a password or query")
        return value.rstrip("/")

"""Requests of OpenAI's chat completions as far as they are honoured, and its form of an error."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.responses import JSONResponse

from pipeline.evaluate.answers.streaming import Sampling
from pipeline.text.chat_template import Message

CHAMPION = "champion"  # name of the model that is served, whichever it is by then
PASSED_OVER = (
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    "parallel_tool_calls",
)  # fmt: skip
"""Fields that change no answer."""
NEUTRAL: tuple[Any, ...] = (None, 0, "", [], {}, "none", "auto", {"type": "text"})
"""Values that ask for nothing special, of fields that are not honoured."""
TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """A request that is not answered: HTTP status, why, a code of OpenAI's, the field at fault."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        """Return the answer that OpenAI's clients raise their errors from."""
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "2"}}
        return JSONResponse(self.body, self.status, headers.get(self.status))


class Turn(BaseModel):
    """One message; of its parts, texts alone."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
            raise ValueError("a part that is no text found; expected text")
        return "\n".join(str(part.get("text", "")) for part in value)


class Ask(BaseModel):
    """A request for a chat completion."""

    model_config = ConfigDict(extra="allow")

    model: str = CHAMPION
    messages: Annotated[list[Turn], Field(min_length=1)]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """None is 0: the model was judged on its likeliest answers."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    n: Literal[1] | None = None

    @model_validator(mode="after")
    def _can_be_answered(self) -> "Ask":
        if (last := self.messages[-1].role) != "user":
            raise ValueError(f"messages: the last one is of {last}; expected user")
        return self

    @property
    def question(self) -> str:
        """The last message."""
        return self.messages[-1].content

    def turns(self) -> list[Message]:
        """Return the messages as templates take them."""
        return [
            Message(role="system" if turn.role == "developer" else turn.role, content=turn.content)
            for turn in self.messages
        ]

    def sampling(self, usual: int, most: int) -> Sampling:
        """Return how the answer is drawn; ``usual``: tokens where the request sets no limit."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=min(self.max_completion_tokens or self.max_tokens or usual, most),
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            stop=tuple(filter(None, stop)),
            seed=self.seed,
        )


def read_ask(body: Mapping[str, Any]) -> Ask:
    """Read a request; a Refusal names the field that is wrong or not honoured here."""
    try:
        ask = Ask.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refusal(400, f"{where}: {first['msg']}", "invalid_value", where or None) from None
    for name, value in (ask.model_extra or {}).items():
        if name not in PASSED_OVER and value not in NEUTRAL:
            message = (
                f"{name}: it is not supported here; expected temperature, top_p, max_tokens, "
                "stop, seed and stream; leave it out"
            )
            raise Refusal(400, message, "unsupported_parameter", name)
    return ask

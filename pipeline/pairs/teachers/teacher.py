"""What a teacher is: something that answers chat requests (:data:`.kinds.TEACHERS`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Messages: TypeAlias = tuple[tuple[str, str], ...]
"""(role, content) of each turn. A last turn of the assistant is the beginning of its reply."""
Strength: TypeAlias = Literal["weak", "strong"]
"""``weak``: answers are taken from the text; ``strong``: the teacher writes them."""
# Why a reply ended:
ENDED = "stop"  # a text that ended by itself or at a stop string: of no other is it whole
NO_ROOM = "length"
CUT_IN_THOUGHT = "thought"  # the room went into thoughts
REFUSED = "refusal"  # a refusal that the server marks as one; it is the text
FAILED = "failed"  # no answer after all retries; the text is the error


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request."""

    messages: Messages
    max_tokens: int
    temperature: float  # 0 takes the likeliest token each time
    top_p: float
    samples: int = 1  # independent replies to the same messages
    stop: tuple[str, ...] = ()  # strings that end a reply; the reply does not contain them
    schema: str = ""  # JSON Schema that the reply follows where the server can do that; empty: none

    @property
    def text(self) -> str:
        """What is asked, all turns."""
        return "\n".join(content for _, content in self.messages)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request: a text for each sample."""

    texts: tuple[str, ...]
    prompt_tokens: int  # of the rendered messages, counted once whatever the number of samples
    completion_tokens: int  # tokens of all samples together
    finish_reasons: tuple[str, ...]  # one of those above, or the server's own word

    @property
    def failed(self) -> bool:
        """Whether there is no answer because the request itself failed."""
        return FAILED in self.finish_reasons

    @property
    def problem(self) -> str:
        """Why the first text is no answer: request_failed, refused or cut_short; else ''."""
        known = {FAILED: "request_failed", REFUSED: "refused", ENDED: ""}
        return known.get(self.finish_reasons[0], "cut_short")

    @property
    def shown(self) -> str:
        """The first text, and why it is not whole, for the ledger and for messages."""
        reason = self.finish_reasons[0]
        return self.texts[0] if reason in (ENDED, FAILED) else f"{self.texts[0]} [{reason}]"


OnReply: TypeAlias = Callable[[int, Reply], None]
"""Called with the position of a request and its reply, in the thread that asked for it."""


class Teacher(Protocol):
    """Answers chat requests."""

    name: str  # model name and, where it is known, the digest of its weights: part of the cache key
    strength: Strength
    batch_size: int  # replies computed together in this process; 0: each by itself, elsewhere

    def complete(
        self, requests: Sequence[Request], seed: int, on_reply: OnReply | None = None
    ) -> list[Reply]:
        """Answer the requests, in their order; the same requests and seed give the same replies.

        Of a reply that is computed beside others, the others may change the rounding.
        ``on_reply`` hears of each reply as it comes, so that none is lost when the process dies.

        Raises:
            TeacherError: the teacher cannot be reached, refuses, or fails too often.
        """

    def answer_losses(self, pairs: Sequence[tuple[Messages, str]]) -> list[float] | None:
        """Return the mean nats a token of each answer after its messages; None: it cannot tell."""

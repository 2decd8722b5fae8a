"""Loss mask: which tokens of an example are trained.

It comes from rendering prefixes with the model's own template, so it needs neither
``{% generation %}`` in the template (SmolLM2's has none) nor a search for strings. The tokens of
the prompt are those of the prompt alone, as a server has them, and the response begins with a token
of its own. What the template writes between generation prompt and response (gpt-oss:
``<|channel|>final<|message|>``) the model must write itself when served, so it is trained. A
generation prompt that opens a thought (DeepSeek-R1) is followed by the end of an empty one. What
stands in the generation prompt alone is there in training, too.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from unicodedata import normalize

from pipeline.core.errors import TrainingError
from pipeline.text.chat_template import (
    Message,
    marked,
    prompt_ids,
    render,
    special_ids,
    stop_ids,
    text_ids,
)

IGNORED = -100
"""Label of a token without loss: the ``ignore_index`` of torch's cross entropy."""
MIN_PROMPT_TOKENS = 16
"""Tokens of the last prompt message that a cut leaves, if it has so many. The end of a prompt
holds the question; an answer to nothing teaches nothing."""
THOUGHT, NO_THOUGHT = "<think>", "</think>\n\n"
"""How a generation prompt opens a thought, and what ends it at once."""
_ANSWER = "\ufdd1"
"""Stands for a text while the template shows what it writes around one; not a character."""
_QUESTION = Message(role="user", content="one")


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as tokens; ``labels[i]`` is ``input_ids[i]`` where it is trained, else -100.

    Labels are not shifted: position ``i`` of the model predicts label ``i + 1``.
    """

    input_ids: list[int]
    labels: list[int]
    truncated: bool = False
    """Whether the prompt was cut from the left."""
    preamble: int = 0
    """Trained tokens that the template writes before the response."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an example cannot be trained on: a reason of the ledger with what was measured."""

    reason: str
    value: float | None = None
    threshold: float | None = None
    found: str = ""
    """What was seen, for an error."""


class _Turn(NamedTuple):
    """A conversation as text: the prompt, the last response, and what the template adds."""

    prompt: str
    before: str
    response: str
    after: str


EXPLANATIONS = {
    "no_response": "the last message is not a response of the assistant, or it is empty",
    "not_rendered": "the chat template refuses the conversation",
    "prompt_not_a_prefix": "the prompt with its generation prompt is not a prefix of the whole",
    "no_tokens_supervised": "the template renders no token for the response",
    "segments_differ": "the tokens of the prompt alone are not those it has before its response",
    "response_not_covered": "the trained tokens do not spell the response",
    "response_too_long": "response and template alone exceed the limit of tokens",
}


def begun_ids(tokenizer: Any, messages: Sequence[Message], begun: str = "") -> list[int]:
    """Return the tokens of a prompt whose answer has begun, tokenized as one text.

    What the template writes before a response, an empty thought, say, stands there too. A
    :class:`TrainingError`: the template does not render a response.
    """
    turn = _turn(tokenizer, [*messages, Message(role="assistant", content=_ANSWER)])
    if isinstance(turn, Rejected):
        raise TrainingError(f"chat template: {EXPLANATIONS[turn.reason]} ({turn.found})")
    return text_ids(tokenizer, turn.prompt + turn.before + marked(tokenizer, begun))


def answer_text(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Return what an answer says, without special tokens and what goes before the response.

    Where the template writes a control token before each response (the end of a thought, of the
    name of a channel), the answer is what stands behind the last one that the model wrote.
    """
    before = begun_ids(tokenizer, [_QUESTION])[len(prompt_ids(tokenizer, [_QUESTION])) :]
    marks = before and [token for token in before if token in tokenizer.added_tokens_decoder]
    places = (place for place in reversed(range(len(tokens))) if tokens[place] in marks[-1:])
    start = next(places, -1) + 1
    return str(tokenizer.decode(tokens[start:], skip_special_tokens=True)).strip()


def end_of_turn(tokenizer: Any) -> int | None:
    """Return the token that the template ends a response with; None when it is not special."""
    encoded = encode(tokenizer, [_QUESTION, Message(role="assistant", content="two")], 10**9)
    trained = [IGNORED] if isinstance(encoded, Rejected) else encoded.labels
    end = next((label for label in reversed(trained) if label != IGNORED), None)
    return end if end in special_ids(tokenizer) else None


def encode(tokenizer: Any, messages: Sequence[Message], max_tokens: int) -> Encoded | Rejected:
    """Tokenize an example and mark the tokens of its last response, end-of-turn included.

    What the template writes after that (a newline for SmolLM2) is not trained. A prompt that is too
    long with its response loses text from the left, earliest message first, while system message
    and template stay whole; a response is never cut.
    """
    roles = [turn["role"] for turn in messages]
    if len(roles) < 2 or roles[-1] != "assistant" or not messages[-1]["content"].strip():
        return Rejected("no_response")
    truncated = False
    turns = list(messages)
    # Tokens are counted again after each cut: a cut text may tokenize to a few tokens more.
    while isinstance(encoded := _encoded(tokenizer, turns), Encoded):
        excess = len(encoded.input_ids) - max_tokens
        if excess <= 0:
            return replace(encoded, truncated=truncated)
        shorter = _cut_left(tokenizer, turns, excess)
        if shorter is None:
            return Rejected("response_too_long", max_tokens + excess, max_tokens)
        turns, truncated = shorter, True
    return encoded


def _turn(tokenizer: Any, messages: Sequence[Message]) -> _Turn | Rejected:
    """Render a conversation that ends with a response, and take it apart."""
    frame = [*messages[:-1], Message(role="assistant", content=_ANSWER)]
    try:
        prompt = render(tokenizer, messages[:-1], generation_prompt=True)
        begin, place, after = render(tokenizer, frame).rpartition(_ANSWER)
        whole = render(tokenizer, messages)
    except TrainingError as error:
        return Rejected("not_rendered", found=str(error))
    if not place:
        return Rejected("no_tokens_supervised", 0, 1)
    response = whole[len(begin) : len(whole) - len(after)]
    wanted = marked(tokenizer, messages[-1]["content"])
    if begin + response + after != whole or response.strip() != wanted.strip():
        found = f"the template writes {whole[len(begin) :][:60]!r} for {wanted[:60]!r}"
        return Rejected("response_not_covered", found=found)
    if prompt.rstrip().endswith(THOUGHT):
        return _Turn(prompt, NO_THOUGHT, response, after)
    if prompt.startswith(begin):  # what it writes for a server alone: an empty thought of SmolLM3
        return _Turn(prompt, "", response, after)
    if not begin.startswith(prompt):
        parted = _common(begin, prompt)
        found = f"the prompt goes on with {prompt[parted:][:60]!r}, the whole with "
        return Rejected("prompt_not_a_prefix", found=f"{found}{begin[parted:][:60]!r}")
    return _Turn(prompt, begin[len(prompt) :], response, after)


def _encoded(tokenizer: Any, messages: Sequence[Message]) -> Encoded | Rejected:
    """Tokenize a conversation once, and mark its response and what ends it."""
    turn = _turn(tokenizer, messages)
    if isinstance(turn, Rejected):
        return turn
    whole, prompt = text_ids(tokenizer, "".join(turn)), text_ids(tokenizer, turn.prompt)
    ids = _continued(tokenizer, prompt, whole)
    if ids is None:
        parted = _common(whole, prompt)
        found = f"the prompt alone ends in {tokenizer.decode(prompt[parted:])!r}, before the "
        found += f"response stands {tokenizer.decode(whole[parted : parted + 3])!r}"
        return Rejected("segments_differ", found=found)
    if len(ids) == len(prompt):
        return Rejected("no_tokens_supervised", 0, 1)
    start = len(prompt)
    if turn.before.strip():
        start = _common(ids, text_ids(tokenizer, turn.prompt + turn.before))
    # The content has no control token, so the first one that ends turns ends this one.
    stops = stop_ids(tokenizer)
    end = _first(ids, start, stops)
    if end is None and (role := _next_role(tokenizer, messages, ids)) in stops:
        ids, end = [*ids, role], len(ids)
    if end is None:
        end = _first(ids, start, special_ids(tokenizer))
    last = len(ids) if end is None else end + 1
    spelt, wanted = tokenizer.decode(ids[start:last]), messages[-1]["content"]
    if not _letters(spelt).startswith(_letters(wanted)):
        return Rejected("response_not_covered", found=f"{spelt[:60]!r} for {wanted[:60]!r}")
    labels = [IGNORED] * len(prompt) + ids[len(prompt) : last] + [IGNORED] * (len(ids) - last)
    return Encoded(ids, labels, preamble=start - len(prompt))


def _continued(tokenizer: Any, prompt: list[int], whole: list[int]) -> list[int] | None:
    """Return the prompt's own tokens and those behind it; None when one spans its end."""
    # SmolLM2 has one token for two line ends, and two where a word follows.
    place = _common(whole, prompt)
    end, spelt = "".join(tokenizer.convert_ids_to_tokens(prompt[place:])), ""
    while len(spelt) < len(end) and place < len(whole):
        spelt += tokenizer.convert_ids_to_tokens(whole[place])
        place += 1
    return [*prompt, *whole[place:]] if spelt == end else None


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many first tokens or characters two have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _first(ids: Sequence[int], start: int, wanted: set[int]) -> int | None:
    return next((place for place in range(start, len(ids)) if ids[place] in wanted), None)


def _next_role(tokenizer: Any, messages: Sequence[Message], ids: Sequence[int]) -> int | None:
    """Return the token that begins the user's next turn: what ends a response of GLM's."""
    with suppress(TrainingError):
        following = [*messages, Message(role="user", content=_ANSWER)]
        longer = text_ids(tokenizer, render(tokenizer, following).partition(_ANSWER)[0])
        if len(longer) > len(ids) and longer[: len(ids)] == list(ids):
            return longer[len(ids)]
    return None


def _letters(text: str) -> str:
    """Return a text without what tokenizers change: blanks, and forms of one character."""
    return "".join(normalize("NFKC", text).split())


def _cut_left(tokenizer: Any, messages: Sequence[Message], excess: int) -> list[Message] | None:
    """Take ``excess`` tokens off the start of the prompt; None when there is nothing to take."""
    turns = list(messages)
    for position, turn in enumerate(turns[:-1]):
        if turn["role"] == "system":
            continue
        encoded = tokenizer(turn["content"], add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoded["offset_mapping"]
        last = position == len(turns) - 2
        cut = min(excess, len(offsets) - (MIN_PROMPT_TOKENS if last else 0))
        if cut <= 0:
            continue
        end = offsets[cut - 1][1]
        turns[position] = Message(role=turn["role"], content=turn["content"][end:].lstrip())
        excess -= cut
        if excess <= 0:
            return turns
    return None

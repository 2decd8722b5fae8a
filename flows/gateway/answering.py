"""An answer on its way, whoever writes it; and the champion that writes it in this process.

One request is answered at a time, in one thread for all of the model's work. A new champion takes
over between two. A turn ends when the answer is written, not when a slow client has read it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flows.engine.context import say_once
from flows.gateway.knowledge import Knowledge, Served, messages
from flows.gateway.requests import Ask, Refusal
from flows.models.loaded_model import base_model
from pipeline.core.errors import TrainingError
from pipeline.core.store import Dataset
from pipeline.evaluate.answers.streaming import Ending, write
from pipeline.settings import Settings
from pipeline.text.chat_template import prompt_ids
from pipeline.train.models.adapter_swap import Swap
from pipeline.train.models.check import context_length

T = TypeVar("T")
Pieces = asyncio.Queue[str | None]
Texts = AsyncGenerator[str, None]


@dataclass
class Answer:
    """An answer that is being written."""

    fingerprint: str  # of the champion that answers
    passages: list[dict[str, Any]] = field(default_factory=list)  # chunks before the question
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str = "length"
    pieces: Texts = field(init=False)


class Champion:
    """The champion in this process."""

    def __init__(self, settings: Settings, knowledge: Knowledge) -> None:
        self._settings, self._knowledge = settings, knowledge
        self._thread = ThreadPoolExecutor(1, "tuneloop-model")
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._swap: Swap | None = None
        self._served: Served | None = None
        self._refused: Dataset | None = None  # a champion that could not be loaded

    async def start(self) -> None:
        """Load the champion; a TuneloopError where there is none, or it cannot be loaded."""
        await self._run(self._follow)

    async def models(self) -> list[str]:
        """Return the fingerprint that answers."""
        return [self._served.model.fingerprint] if self._served else []

    async def answer(self, ask: Ask, held: AsyncExitStack) -> Answer:
        """Begin an answer when it is this request's turn."""
        most = self._settings.serve.waiting
        if self._turn.locked() and self._waiting >= most:
            raise Refusal(429, f"{most} requests wait already; try again in a moment", "busy")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            served = await self._run(self._follow)
            passages, prompt, room = await self._run(self._prepare, served, ask)
        except BaseException:
            self._turn.release()
            raise
        answer = Answer(served.model.fingerprint, passages, len(prompt))
        pieces: Pieces = asyncio.Queue()
        writing = asyncio.create_task(self._write(ask, prompt, room, answer, pieces))
        writing.add_done_callback(lambda _: self._turn.release())
        held.callback(writing.cancel)
        answer.pieces = _read(pieces, writing)
        return answer

    def _follow(self) -> Served:
        """Let the champion by now answer; one that cannot be loaded leaves the one before it."""
        try:
            served = self._knowledge.champion()
            if self._served and served.model in (self._served.model, self._refused):
                return self._served
            self._refused = served.model
            folder = self._knowledge.home.store.path(served.model).resolve()
            try:
                if self._swap is None:
                    raise TrainingError("nothing is loaded yet")
                self._swap.use(folder)
            except TrainingError:  # of another method: beside the one before, until it is whole
                self._swap = Swap(base_model(self._settings), self._settings.model, folder)
            self._served, self._refused = served, None
        except Exception as error:  # damaged weights, no memory: the one before is still there
            if self._served is None:
                raise
            say_once(f"serve: {error}; {self._served.model.fingerprint} goes on answering")
        return self._served

    def _prepare(self, served: Served, ask: Ask) -> tuple[list[dict[str, Any]], list[int], int]:
        """Return passages that fit, tokens of the prompt, and how many more there is room for."""
        assert self._swap is not None
        most = context_length(self._swap.model) or 2**31
        passages = self._knowledge.passages(served, ask)
        while True:
            try:
                prompt = prompt_ids(self._swap.tokenizer, messages(served, ask, passages))
            except TrainingError as error:
                raise Refusal(400, str(error), "invalid_value", "messages") from error
            if len(prompt) < most:
                return passages, prompt, most - len(prompt)
            if not passages:
                message = (
                    f"messages: {len(prompt):,} tokens found; expected fewer than {most:,}, which "
                    "is what the model can read; shorten the conversation"
                )
                raise Refusal(400, message, "context_length_exceeded", "messages")
            passages = passages[:-1]

    async def _write(
        self, ask: Ask, prompt: list[int], room: int, answer: Answer, pieces: Pieces
    ) -> None:
        """Write an answer into a queue, and None behind it."""
        assert self._swap is not None
        sampling, ending = ask.sampling(self._settings.serve.max_tokens, room), Ending()
        written = write(self._swap.model, self._swap.tokenizer, prompt, sampling, ending)
        try:
            while (piece := await self._run(lambda: next(written, None))) is not None:
                pieces.put_nowait(piece)
            answer.completion_tokens, answer.finish_reason = ending.tokens, ending.reason
        finally:
            self._thread.submit(written.close)  # behind the step that it may be in
            pieces.put_nowait(None)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


async def _read(pieces: Pieces, writing: asyncio.Task[None]) -> Texts:
    """Yield what is written, and raise what ended it."""
    while (piece := await pieces.get()) is not None:
        if piece:
            yield piece
    await writing

"""Answers of a server that has the exported model: vLLM, llama.cpp, Ollama."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from typing import Any

import httpx

from flows.engine.context import say
from flows.gateway.answering import Answer, Texts
from flows.gateway.knowledge import Knowledge, messages
from flows.gateway.requests import Ask, Refusal
from pipeline.settings import Settings

KEY = "TUNELOOP_UPSTREAM_KEY"
STARTS = (
    "merged && vllm serve DIR --port 8000",
    "gguf && llama-server -m DIR/model.gguf --port 8000",
    "gguf && ollama create tuned -f DIR/Modelfile",
)
"""Forms of the exporters, and what serves them."""


class Upstream:
    """A server that answers; system prompt and passages are put into its requests here."""

    def __init__(self, settings: Settings, knowledge: Knowledge) -> None:
        self._settings, self._knowledge = settings.serve, knowledge
        self._served = knowledge.champion()
        self._model = settings.serve.upstream_model
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(10, read=600)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False)

    async def start(self) -> None:
        """Say how such a server is started, and whether it is there; it may come later."""
        for command in STARTS:
            say(f"serve: to start it: tuneloop export champion --to DIR --format {command}")
        try:
            say(f"serve: {self._settings.upstream} answers as {await self._name()}")
        except Refusal as refusal:
            say(f"serve: {refusal}")

    async def models(self) -> list[str]:
        """Return the name that the model has there."""
        return [self._model] if self._model else []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def answer(self, ask: Ask, held: AsyncExitStack) -> Answer:
        """Begin an answer: the request goes on to the server, and is closed with ``held``."""
        passages = await asyncio.to_thread(self._knowledge.passages, self._served, ask)
        names = ("temperature", "top_p", "stop", "seed", "max_tokens", "max_completion_tokens")
        body = {name: value for name in names if (value := getattr(ask, name)) is not None}
        if not {"max_tokens", "max_completion_tokens"} & body.keys():
            body["max_tokens"] = self._settings.max_tokens
        body |= {"temperature": ask.temperature or 0.0, "model": await self._name()}
        body |= {"messages": messages(self._served, ask, passages), "stream": True}
        body |= {"stream_options": {"include_usage": True}}
        url = f"{self._settings.upstream}/chat/completions"
        try:
            response = await held.enter_async_context(self._client.stream("POST", url, json=body))
            if response.status_code != httpx.codes.OK:
                await response.aread()
                raise self._refused(response)
        except httpx.HTTPError as error:
            raise self._gone(error) from error
        answer = Answer(self._served.model.fingerprint, passages)
        answer.pieces = self._pieces(response, answer)
        return answer

    async def _pieces(self, response: httpx.Response, answer: Answer) -> Texts:
        try:
            async for line in response.aiter_lines():
                if not line.startswith("data:") or line.endswith("[DONE]"):
                    continue
                chunk = json.loads(line.removeprefix("data:"))
                usage = chunk.get("usage") or {}
                answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
                answer.completion_tokens = usage.get("completion_tokens", answer.completion_tokens)
                for choice in chunk.get("choices", ()):
                    answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
                    if piece := (choice.get("delta") or {}).get("content"):
                        yield piece
        except (httpx.HTTPError, ValueError) as error:
            raise self._gone(error) from error

    async def _name(self) -> str:
        if not self._model:
            try:
                response = await self._client.get(f"{self._settings.upstream}/models")
                if response.status_code != httpx.codes.OK:
                    raise self._refused(response)
                self._model = str(response.json()["data"][0]["id"])
            except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
                raise self._gone(error) from error
        return self._model

    def _gone(self, error: Exception) -> Refusal:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = (
            f"{self._settings.upstream}: {reason}; expected the server of the exported model; "
            "start it, or correct serve.upstream"
        )
        return Refusal(502, message, "upstream_failed")

    def _refused(self, response: httpx.Response) -> Refusal:
        """Return what the server said of a request; what is no fault of the request is a 502."""
        try:
            error: Any = response.json()
            error = error.get("error", error)
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except (ValueError, AttributeError):
            text = response.text
        status = response.status_code
        message = f"{self._settings.upstream} answers {status}: {text[:500]}"
        own = status in (400, 413, 422, 429)
        return Refusal(status if own else 502, message, "upstream_refused")

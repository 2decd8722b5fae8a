"""What a model is served with: its system prompt, and passages where the verdict says so."""

from typing import Any, NamedTuple

from flows.engine.context import say, say_once
from flows.gateway.requests import Ask
from flows.models.listing import judgement, system_prompt
from pipeline.core.errors import InputError, TuneloopError
from pipeline.core.home import Home
from pipeline.core.registry import CHAMPION
from pipeline.core.store import Dataset
from pipeline.documents.forgotten import forgotten
from pipeline.evaluate.answers.chunk_index import ChunkIndex
from pipeline.evaluate.answers.prompts import with_passage
from pipeline.evaluate.measures.grounding import chunk_text
from pipeline.settings import Settings
from pipeline.text.chat_template import Message
from schemas.documents import Chunks

WITH_PASSAGES = "challenger_retrieval"  # the arm of a verdict with passages before each question


class Served(NamedTuple):
    """A champion and how it is asked."""

    model: Dataset
    system_prompt: str
    retrieval: bool


class Knowledge:
    """The champion of a home and the documents beside it, looked at anew for each request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = Home.at(settings.paths.home)
        self._served: Served | None = None
        self._indexed: tuple[str, ChunkIndex, dict[str, str]] | None = None

    def champion(self) -> Served:
        """Return the champion by now; an InputError where there is none yet."""
        model = self.home.registry.dataset(CHAMPION, self.home.store)
        if model is None:
            raise InputError(
                "serve: no champion found; expected a promoted model; run `tuneloop run`, or "
                "`tuneloop promote` a challenger"
            )
        if self._served is not None and self._served.model == model:
            return self._served
        mode = self.settings.serve.retrieval
        judged = judgement(self.home, model) if mode == "verdict" else None
        evaluation = judged.record.get("evaluation", {}) if judged else {}
        retrieval = mode == "on" or evaluation.get("served") == WITH_PASSAGES
        self._served = Served(model, system_prompt(self.home, model), retrieval)
        asked = "with" if retrieval else "without"
        say(f"serve: {model.fingerprint} is the champion, asked {asked} passages of the documents")
        return self._served

    def passages(self, served: Served, ask: Ask) -> list[dict[str, Any]]:
        """Return the chunks that go before the question, best first, each with its source."""
        if not served.retrieval:
            return []
        try:
            chunks = self.home.dataset("chunks")
            if self._indexed is None or self._indexed[0] != chunks.fingerprint:
                documents = self.home.rows(self.home.dataset("unique_documents"))
                sources = dict(documents.select("doc_id", "source").iter_rows())
                index = ChunkIndex(self.home.store.read(chunks, Chunks))
                self._indexed = (chunks.fingerprint, index, sources)
        except TuneloopError as error:  # an answer is worth more than its passages
            say_once(f"serve: {error}")
            if self._indexed is None:
                return []
        _, index, sources = self._indexed
        best = index.find(ask.question, self.settings.evaluate.retrieved_chunks)
        gone = {key for row in forgotten(self.settings.paths.home) for key in row.doc_ids}
        left = (row for row in best if row["doc_id"] not in gone)
        return [row | {"source": sources.get(row["doc_id"], "")} for row in left]


def messages(served: Served, ask: Ask, passages: list[dict[str, Any]]) -> list[Message]:
    """Return the conversation as the model was judged on it; a system message of its own stays."""
    turns = ask.turns()
    if passages:
        text = "\n\n".join(map(chunk_text, passages))
        turns[-1] = Message(role="user", content=with_passage(ask.question, text))
    if served.system_prompt and turns[0]["role"] != "system":
        turns.insert(0, Message(role="system", content=served.system_prompt))
    return turns


def citations(passages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return passages as the sources of an answer."""
    names = ("chunk_id", "doc_id", "source", "title", "section", "text")
    return [{name: row[name] for name in names} for row in passages]

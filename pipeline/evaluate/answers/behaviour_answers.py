"""Ask one model the instructions and requests of the behaviour check."""

from collections.abc import Sequence
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import table
from pipeline.core.progress import advance
from pipeline.evaluate.measures.behaviour import Item
from pipeline.evaluate.measures.behaviour_rules import REFUSING, WILLING, declines, follows
from pipeline.evaluate.scoring import continuation_log_probs, evaluating, greedy, prefill
from pipeline.text.chat import answer_text, begun_ids
from pipeline.text.chat_template import Message, prompt_ids, stop_ids
from schemas.evaluation import BehaviourScores

REFUSAL_TOKENS = 20  # of an answer to a request: a refusal shows in its first words


def behaviour_scores(
    items: Sequence[Item], model: Any, tokenizer: Any, max_new_tokens: int, batch_size: int = 24
) -> DataFrame[BehaviourScores]:
    """Answer each item, a chat message of its own, and look at the answer by rule; by id."""
    prompts = {
        item.id: prompt_ids(tokenizer, [{"role": "user", "content": item.prompt}]) for item in items
    }
    asked = [Message(role="user", content="one")]  # an opening follows the same in each prompt
    start = len(prompt_ids(tokenizer, asked))
    openings = [begun_ids(tokenizer, asked, text)[start:] for text in (*REFUSING, *WILLING)]
    half = len(REFUSING)
    stops = stop_ids(tokenizer)
    todo = sorted(items, key=lambda item: (item.kind, len(prompts[item.id]), item.id))
    rows: list[dict[str, Any]] = []
    advance(0, len(todo), "requests")
    with evaluating(model):
        for requests in ([i for i in todo if not i.checks], [i for i in todo if i.checks]):
            for start in range(0, len(requests), batch_size):
                batch = requests[start : start + batch_size]
                prefix = prefill(model, [prompts[item.id] for item in batch])
                margins: list[float | None] = [None] * len(batch)
                if not batch[0].checks:
                    scored = continuation_log_probs(model, prefix, [openings] * len(batch))
                    means = [[float(part.mean()) for part in row] for row in scored]
                    margins = [max(row[:half]) - max(row[half:]) for row in means]
                most = max_new_tokens if batch[0].checks else min(max_new_tokens, REFUSAL_TOKENS)
                written, _ = greedy(model, prefix, stops, most)
                for item, margin, tokens in zip(batch, margins, written, strict=True):
                    text = answer_text(tokenizer, tokens)
                    instruction = item.kind == "instruction"
                    rows.append(
                        {
                            "id": item.id,
                            "kind": item.kind,
                            "answer": text,
                            "followed": follows(text, item.checks) if instruction else None,
                            "refused": None if instruction else declines(text),
                            "refusal_margin": margin,
                        }
                    )
                advance(len(rows), len(todo), "requests")
    return cast("DataFrame[BehaviourScores]", table(BehaviourScores, rows).sort("id"))

"""Measure one model on the general set of the forgetting check."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pandera.typing.polars import DataFrame

from pipeline.core.outcome import table
from pipeline.core.progress import advance
from pipeline.evaluate.retention.forgetting import GeneralSet, Question
from pipeline.evaluate.scoring import continuation_log_probs, evaluating, prefill, text_log_probs
from schemas.evaluation import GeneralScores

MAX_TOKENS = 512  # longer general texts are cut here: some 400 words measure a loss well enough
ROWS = 8  # questions in one forward pass
_BATCH_TOKENS = 2048  # of one forward pass, padding included: 200 MB of scores at 49,152 words


def general_scores(general: GeneralSet, model: Any, tokenizer: Any) -> DataFrame[GeneralScores]:
    """Measure a model on questions and on texts of two tokens or more: a row an item, by id."""
    total = len(general.texts) + len(general.questions)
    advance(0, total, "general items")
    losses = general_loss(list(general.texts.values()), model, tokenizer)
    advance(len(general.texts), total, "general items")
    answers = general_accuracy(general.questions, model, tokenizer)
    advance(total, total, "general items")
    rows = [
        {"id": key, "kind": "text", "tokens": tokens, "loss": loss, "correct": None}
        for key, (loss, tokens) in zip(general.texts, losses, strict=True)
        if tokens
    ] + [
        {"id": item.id, "kind": "question", "tokens": tokens, "loss": loss, "correct": correct}
        for item, (correct, loss, tokens) in zip(general.questions, answers, strict=True)
    ]
    return cast("DataFrame[GeneralScores]", table(GeneralScores, rows).sort("id"))


def general_loss(
    texts: Sequence[str], model: Any, tokenizer: Any, max_tokens: int = MAX_TOKENS
) -> list[tuple[float, int]]:
    """Return (nats a token, predicted tokens) of each plain text; below two tokens (0.0, 0)."""
    # No chat template: running text is what the base model was pre-trained on.
    encoded = [tokenizer(text)["input_ids"][:max_tokens] for text in texts]
    results = [(0.0, 0)] * len(texts)
    # By length and text: batches do not depend on the order of the texts.
    todo = sorted(
        (index for index, tokens in enumerate(encoded) if len(tokens) > 1),
        key=lambda index: (len(encoded[index]), texts[index]),
    )
    with evaluating(model):
        while todo:
            size = 1
            while size < len(todo) and (size + 1) * len(encoded[todo[size]]) <= _BATCH_TOKENS:
                size += 1
            batch, todo = todo[:size], todo[size:]
            scored = text_log_probs(model, [encoded[index] for index in batch])
            for index, log_probs in zip(batch, scored, strict=True):
                results[index] = (max(0.0, -float(log_probs.mean())), len(log_probs))
    return results


def general_accuracy(
    questions: Sequence[Question], model: Any, tokenizer: Any
) -> list[tuple[float, float, int]]:
    """Answer multiple-choice questions by the likeliest choice, in the order given.

    ``Question: <question>`` and, on the next line, ``Answer: <choice>`` as plain text, as in
    lm-evaluation-harness: 29 of the 40 questions in data/general are right so, 20 as chat messages.
    Returns for each (1.0 if right, nats a token of the right choice, tokens of all choices).
    """
    prompts, choices = [], []
    for item in questions:
        context = f"Question: {item.question}\nAnswer:"
        prompts.append(tokenizer(context)["input_ids"])
        whole = [tokenizer(f"{context} {choice}")["input_ids"] for choice in item.choices]
        choices.append([tokens[len(prompts[-1]) :] for tokens in whole])
    results: list[tuple[float, float, int]] = [(0.0, 0.0, 0)] * len(questions)
    with evaluating(model):
        for batch in _batches(questions, prompts):
            prefix = prefill(model, [prompts[index] for index in batch])
            scored = continuation_log_probs(model, prefix, [choices[index] for index in batch])
            for index, log_probs in zip(batch, scored, strict=True):
                sums = [float(tokens.sum()) for tokens in log_probs]
                right = questions[index].answer
                results[index] = (
                    float(sums.index(max(sums)) == right),
                    max(0.0, -float(log_probs[right].mean())),
                    sum(len(tokens) for tokens in log_probs),
                )
    return results


def _batches(questions: Sequence[Question], prompts: Sequence[list[int]]) -> Iterator[list[int]]:
    """Yield indices in batches fixed by content; each prompt of a batch has as many choices."""
    for count in sorted({len(item.choices) for item in questions}):
        todo = sorted(
            (index for index, item in enumerate(questions) if len(item.choices) == count),
            key=lambda index: (len(prompts[index]), questions[index].id),
        )
        yield from (todo[start : start + ROWS] for start in range(0, len(todo), ROWS))

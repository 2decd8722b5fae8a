"""Accepted pairs a minute of the embedded teacher, beside transformers asked one prompt at a time.

    .venv/bin/python -m tests.benchmarks.pairs_a_minute [--float32]

The same chunks of the sample manuals, prompts, sampling and screens; a pair counts when it passes.
Each arm answers a chunk before its clock starts, so that no loading is measured. ``--float32``
computes as on a processor without bfloat16.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.engine import environment
from pipeline.settings import GenerateSettings, ModelSettings, ScreenSettings

ROOT = Path(__file__).parents[2]
MODELS = ROOT / ".pytest_cache" / "d" / "models"
TARGETS = {"one prompt at a time": 6, "tuneloop": 24}
"""Pairs that each arm is asked for: the slower one needs fewer for a rate."""
WORDS = 150
"""Of a chunk, about."""


def corpus() -> list[list[dict[str, Any]]]:
    """Return the paragraphs of the manuals as chunks of :data:`WORDS` words."""
    from tests.pipeline.pairs.test_generate import chunk_rows

    documents = []
    for path in sorted((ROOT / "data" / "samples" / "manual").glob("*.md")):
        texts = [""]
        for paragraph in path.read_text("utf-8", "ignore").split("\n\n"):
            if len(texts[-1].split()) > WORDS:
                texts.append("")
            texts[-1] += paragraph + "\n\n"
        documents.append(chunk_rows(path.stem, *texts, source=path.name))
    return documents


def plain(base: Any) -> Any:
    """Return a teacher that calls ``generate`` of transformers for one reply after the other."""
    import torch

    from pipeline.pairs.teachers.embedded import EmbeddedTeacher
    from pipeline.pairs.teachers.sampling import _losses, _prompt_ids
    from pipeline.pairs.teachers.teacher import Reply
    from pipeline.train.models.base_model import load_model, load_tokenizer

    class OneByOne(EmbeddedTeacher):
        def _model(self) -> Any:
            if self._loaded is None:
                tokenizer = load_tokenizer(self._base.path, self._base.thinking)
                self._loaded = load_model(self._base.path), tokenizer
            return self._loaded

        def complete(self, requests: Any, seed: int, on_reply: Any = None) -> Any:
            model, tokenizer = self._model()
            replies = []
            for number, request in enumerate(requests):
                ids = torch.tensor([_prompt_ids(tokenizer, request.messages)])
                texts = []
                for sample in range(request.samples):
                    torch.manual_seed(seed + 1000 * number + sample)
                    with torch.inference_mode():
                        out = model.generate(
                            ids,
                            attention_mask=torch.ones_like(ids),
                            do_sample=True,
                            temperature=request.temperature,
                            top_p=request.top_p,
                            tokenizer=tokenizer,
                            max_new_tokens=request.max_tokens,
                            stop_strings=list(request.stop) or None,
                        )
                    text = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
                    ends = [text.find(stop) for stop in request.stop if stop in text]
                    texts.append(text[: min(ends, default=None)])
                reasons = ("stop",) * len(texts)
                replies.append(Reply(tuple(texts), ids.shape[1], 0, reasons))
                if on_reply is not None:
                    on_reply(number, replies[-1])
            return replies

        def answer_losses(self, pairs: Any) -> Any:
            model, tokenizer = self._model()
            losses = []
            for messages, answer in pairs:
                prompt = _prompt_ids(tokenizer, messages)
                rest = _prompt_ids(tokenizer, messages, answer)[len(prompt) :]
                with torch.inference_mode():
                    losses += _losses(model, [prompt], [rest])
            return losses

    return OneByOne(base, ModelSettings(), 1)


def rate(teacher: Any, target: int) -> tuple[int, float]:
    """Return the pairs that pass of a generation, and its seconds."""
    from pipeline.core.cache import Cache
    from pipeline.pairs.generate import generate
    from pipeline.pairs.screen.judge import Criteria
    from pipeline.pairs.screen.screen import Screens
    from pipeline.pairs.teachers.replies import CachingTeacher
    from tests.pipeline.pairs.test_generate import NO_SEEDS, chunks

    documents = corpus()
    settings = GenerateSettings(self_instruct_tasks=0, pilot_chunks=0, tokens_per_pair=125)
    with tempfile.TemporaryDirectory() as folder:
        asked = CachingTeacher(teacher, Cache(Path(folder)))
        few = settings.model_copy(update={"target": 1})
        generate(chunks(*documents[:1]), NO_SEEDS, few, asked)
    with tempfile.TemporaryDirectory() as folder:
        asked = CachingTeacher(teacher, Cache(Path(folder)))
        rows = chunks(*documents)
        screens = Screens(rows, NO_SEEDS, ScreenSettings(), Criteria(("en",)))
        began = time.monotonic()
        found = generate(
            rows, NO_SEEDS, settings.model_copy(update={"target": target}), asked, screens.passing
        )
        seconds = time.monotonic() - began
    return screens.passing(found.kept.iter_rows(named=True)), seconds


def main() -> None:
    """Print a line for each arm."""
    environment.prepare(MODELS)
    import torch

    from pipeline.pairs.teachers.embedded import EmbeddedTeacher
    from pipeline.train.models.base_model import resolve_model
    from pipeline.train.models.device import compute_dtype, configure_torch

    abilities = {} if "--float32" in sys.argv else torch.cpu.get_capabilities()
    with patch("torch.cpu.get_capabilities", lambda: abilities):
        configure_torch(ModelSettings())
        base = resolve_model(ModelSettings(), MODELS)
        print(f"computed in {compute_dtype('cpu')}, {torch.get_num_threads()} threads")
        teachers = {
            "one prompt at a time": plain(base),
            "tuneloop": EmbeddedTeacher(base, ModelSettings(), GenerateSettings().batch_size),
        }
        rates = {}
        print(f"{'arm':<22} {'accepted':>8} {'seconds':>8} {'a minute':>8}")
        for name, teacher in teachers.items():
            pairs, seconds = rate(teacher, TARGETS[name])
            rates[name] = 60 * pairs / seconds
            print(f"{name:<22} {pairs:>8} {seconds:>8.1f} {rates[name]:>8.1f}")
    print(f"tuneloop: {rates['tuneloop'] / rates['one prompt at a time']:.1f} x")


if __name__ == "__main__":
    main()

"""Does a merged model say what its adapter says? The exact rule beside two that look as good.

    python -m tests.benchmarks.merge_parity [--steps 6] [--prompts 64] [--tokens 24]

Trains a QLoRA adapter on the embedded model and asks 64 questions (gold rows and seed tasks)
greedily, everything in float32:

* merged: the dequantized NF4 base plus B A, stored in float32, in float16 and in bfloat16
  (pipeline/train/export/merge.py; `tuneloop export` takes the base's own type where it passes, else
  float32);
* into 4 bits: what peft's own merge does with a 4-bit layer, quantizing again;
* onto the original: B A on the weights before quantization, which many scripts do.

Then the merged model of bfloat16 computing in it, as most servers run it: against the adapter in
float32, and, where the processor has bfloat16, against the adapter in bfloat16. Fails when the
first row is not equal on every prompt.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

from flows.engine import environment

environment.prepare(Path(tempfile.gettempdir()))

import torch  # noqa: E402

from pipeline.core.cache import short_id  # noqa: E402
from pipeline.core.outcome import table  # noqa: E402
from pipeline.evaluate.measures.parity import compare, predict  # noqa: E402
from pipeline.settings import ModelSettings, TrainSettings  # noqa: E402
from pipeline.text.chat_template import prompt_ids, stop_ids  # noqa: E402
from pipeline.train.export.merge import merge, to_float32  # noqa: E402
from pipeline.train.loop.trainer import train  # noqa: E402
from pipeline.train.models.adapter import load_adapter, load_base, on_plain_base  # noqa: E402
from pipeline.train.models.base_model import load_model, resolve_model  # noqa: E402
from pipeline.train.models.quantized import dequantize  # noqa: E402
from schemas.pairs import Examples  # noqa: E402

DATA = Path(__file__).parents[2] / "data"


def read(name):
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines() if line]


def questions():
    """Every gold row and seed task as an example; each eighth is for validation."""
    pairs = [(row["question"], row["answer"]) for row in read("gold/gold.jsonl")]
    pairs += [
        (f"{row['instruction']}\n\n{row['input']}".strip(), row["output"])
        for row in read("seeds/seed_tasks.jsonl")
    ]
    return table(
        Examples,
        [
            {
                "pair_id": short_id(f"{number} {question}"),
                "doc_id": "",
                "cluster_id": short_id(f"{number} {question}"),
                "split": "train" if number % 8 else "validation",
                "origin": "self_instruct",
                "status": "accepted",
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer.strip()},
                ],
            }
            for number, (question, answer) in enumerate(pairs)
        ],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--models", type=Path, default=Path(".pytest_cache/d/models"))
    arguments = parser.parse_args()
    place = ModelSettings()
    base = resolve_model(place, arguments.models)
    rows = questions()
    with tempfile.TemporaryDirectory() as folder:
        adapter, merged = Path(folder, "adapter"), Path(folder, "merged")
        settings = TrainSettings(method="qlora", max_steps=arguments.steps, evaluations=1)
        result = train(rows, base, settings, place, Path(folder, "work"), adapter)
        (_, before), *_, (_, after) = result.validation_loss
        print(f"QLoRA on {result.rows_kept} rows, {result.steps} steps: ", end="")
        print(f"validation loss {before:.3f} -> {after:.3f}", flush=True)
        model, tokenizer = load_adapter(base, adapter, place)
        stops = stop_ids(tokenizer)
        asked = [prompt_ids(tokenizer, row["messages"][:-1]) for row in rows.iter_rows(named=True)][
            : arguments.prompts
        ]
        served = predict(model, asked, stops, arguments.tokens)
        exact = predict(to_float32(model), asked, stops, arguments.tokens)
        del model
        whole = Path(folder, "float32")
        coarse = Path(folder, "bfloat16")
        print(merge(base, adapter, place, whole, "float32"))
        print(merge(base, adapter, place, merged, "float16"))
        print(merge(base, adapter, place, coarse, "bfloat16"))

        def show(name, reference, candidate):
            found = compare(reference, candidate)
            print(
                f"{name:<24} {found.equal_prompts:>3} of {found.prompts} prompts equal   largest "
                f"logit difference {found.max_logit_difference:8.4f}   KL mean "
                f"{found.mean_kl:.2e} max {found.max_kl:.2e}",
                flush=True,
            )
            return found

        first = show("merged, float32", exact, load_model(whole, dtype="float32"))
        show("merged, float16", exact, load_model(merged, dtype="float32"))
        show("merged, bfloat16", exact, load_model(coarse, dtype="float32"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="[Mm]erg")
            naive = on_plain_base(load_base(base, place, quantized=True), adapter)
            naive = dequantize(naive.merge_and_unload())
        show("into 4 bits", exact, to_float32(naive))
        del naive
        show(
            "onto the original",
            exact,
            on_plain_base(load_model(base.path, dtype="float32"), adapter),
        )
        plain = dequantize(load_base(base, place, quantized=True))
        show("no adapter", exact, to_float32(plain))
        del plain
        half = load_model(coarse, dtype=torch.bfloat16)
        show("bfloat16, run in it", exact, half)
        if load_model(coarse).dtype == torch.bfloat16:  # what this processor serves in
            show("both in bfloat16", served, half)
    return 0 if first.equal_prompts == first.prompts else 1


if __name__ == "__main__":
    sys.exit(main())

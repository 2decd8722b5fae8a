"""The arms of the GPU benchmark: each measures one thing, in a process of its own.

A job comes as JSON on stdin. The last line of stdout is what came of it: ``measured`` for people,
with the pass ``mark`` and whether it is ``met`` where there is one, and numbers; or ``error``.
Where there is no CUDA they run on the CPU, so that a tiny shape can test them.
"""

import json
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.benchmark import Timer

from flows.models.loaded_model import LoadedModel
from pipeline.core.progress import listening
from pipeline.evaluate.answers.answers import answer_timed, reply
from pipeline.evaluate.answers.prompts import Material
from pipeline.evaluate.measures.parity import answer_logits, predict
from pipeline.settings import EvaluateSettings, TrainSettings
from pipeline.text.chat_template import prompt_ids, stop_ids
from pipeline.train.export.merge import merge
from pipeline.train.loop.trainer import train
from pipeline.train.methods import METHODS
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.device import compute_dtype
from pipeline.train.models.quantized import four_bits
from pipeline.train.peak_memory import free_memory, is_out_of_memory
from tests.benchmarks import gpu_work, method_rates, plan_accuracy
from tests.benchmarks.gpu_work import DEVICE, OURS, PLACE, SHAPES, Job, card

GB = 1e9


def make_base(job: Job) -> dict[str, Any]:
    """Write the base model, and the digests of both bases, which resolving them needs."""
    plan_accuracy.write_base(job.shape.config, job.work / "base", DEVICE)
    names = [job.base(learned=learned).name for learned in (False, True)]
    return {"measured": f"written; beside it {names[1]}"}


def ceilings(job: Job) -> dict[str, Any]:
    """Measure matrix products in bfloat16, FLOP a second, and copies on the device, bytes."""
    width, size = job.shape.matrix, job.shape.copied
    left = torch.randn(width, width, dtype=torch.bfloat16, device=DEVICE)
    source = torch.ones(size, dtype=torch.uint8, device=DEVICE)
    given = {"left": left, "source": source, "target": torch.empty_like(source)}
    product, copy = (
        Timer(code, globals=given).blocked_autorange(min_run_time=0.5).median
        for code in ("left @ left", "target.copy_(source)")
    )
    flops, copied = 2 * width**3 / product, 2 * size / copy
    name = torch.cuda.get_device_name() if card() else "CPU"
    said = f"{name}: {flops / 1e12:.3g} TFLOP/s in bfloat16, copies at {copied / GB:,.0f} GB/s"
    return {"measured": said, "flops": flops, "copied": copied}


def training(job: Job) -> dict[str, Any]:
    """Train with an arm: rate, peaks, share of the matrix rate, and of ours what the plan says.

    The adapter of our arm with the settings as they are stays, to be merged.
    """
    from tests.benchmarks.training_speed import ours
    from tests.benchmarks.training_trl import trl

    arm, method, rows = (job.told[key] for key in ("arm", "method", "rows"))
    base, output, found = job.base(), job.work / f"{method} {rows} {arm}", dict[str, Any]()
    work = job.training(rows, method)
    room = max(*work.lengths, int(job.told["share"] * gpu_work.pass_tokens(base.path, work)))
    if arm in OURS:
        work = job.training(rows, method, **OURS[arm])
        measured = ours(base, work, output)
        plan = gpu_work.planned(base.path, work) / measured.peak_memory_bytes
        found = {"mark": "plan 0.95 to 1.1 of the peak", "met": 0.95 <= plan <= 1.1, "plan": plan}
    else:
        changes = gpu_work.trl_changes(arm, work, room)
        bits = four_bits(base.path, compute_dtype(DEVICE)) if method == "qlora" else None
        defaults = arm == "trl defaults"
        measured = trl(base, changes, work, output, shuffled=defaults, quantization=bits)
    rate, peak, host = measured.tokens_per_second, measured.peak_memory_bytes, _host()
    used, flops = rate * gpu_work.flops(base.path, work), job.told["flops"]
    said = f"{rate:,.0f} tokens/s, {peak / GB:.2f} GB, host {host / GB:.1f} GB"
    said += f", {used / flops:.0%} of the matrix rate" if flops else ""
    said += f", plan {found['plan']:.2f}" if found else ""
    return {"measured": said, "rate": rate, "peak": peak, "host": host, "used": used} | found


def evaluation(job: Job) -> dict[str, Any]:
    """Answer rows as the product does, the loss of their references included; tokens a second."""
    rows, settings = job.asked(), EvaluateSettings(max_new_tokens=job.shape.new_tokens)
    with LoadedModel(job.base(), PLACE, cast(Any, None)) as loaded:
        model, tokenizer = loaded.get(None)
        answer_timed("base", rows[:2], model, tokenizer, settings, Material())  # warms up
        began = time.perf_counter()
        found = answer_timed("base", rows, model, tokenizer, settings, Material())
        rate = int(found.kept["completion_tokens"].sum()) / (time.perf_counter() - began)
    return {"measured": f"{rate:,.0f} tokens/s at batch {settings.batch_size}", "rate": rate}


def generation(job: Job) -> dict[str, Any]:
    """Answer the same rows with transformers' generate, at its best batch; tokens a second."""
    base, new = job.base(), job.shape.new_tokens
    tokenizer, model = load_tokenizer(base.path), load_model(base.path, DEVICE)
    prompts = [prompt_ids(tokenizer, turns[:-1]) for turns in job.asked()["messages"].to_list()]
    prompts.sort(key=len)
    given = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False}

    def rate(prompts: list[list[int]], size: int) -> float:
        began = time.perf_counter()
        for start in range(0, len(prompts), size):
            batch = {"input_ids": prompts[start : start + size]}
            batch = tokenizer.pad(batch, padding_side="left", return_tensors="pt").to(DEVICE)
            model.generate(**batch, **given, pad_token_id=tokenizer.pad_token_id).tolist()
        return len(prompts) * new / (time.perf_counter() - began)

    rate(prompts[:2], 2)  # warms up
    rates: dict[int, float] = {}
    try:
        for size in job.shape.batches:
            rates[size] = rate(prompts, size)
    except RuntimeError as error:
        if not (rates and is_out_of_memory(error)):
            raise
    size = max(rates, key=rates.__getitem__)
    return {"measured": f"{rates[size]:,.0f} tokens/s at batch {size}", "rate": rates[size]}


def hand_over(job: Job) -> dict[str, Any]:
    """Load and ask a model, release it, and let a child take 90 % of the card."""
    with LoadedModel(job.base(), PLACE, cast(Any, None)) as loaded:
        reply(*loaded.get(None), [{"role": "user", "content": "Hello"}], 4)
        loaded.release()
        size = int(0.9 * (card() or 2**20))
        code = f"import torch; torch.ones({size}, dtype=torch.uint8, device={DEVICE!r})[-1].item()"
        child = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        kept = torch.cuda.memory_reserved() / GB if card() else 0.0
    taken = child.returncode == 0
    said = f"{kept:.2f} GB reserved, 90 % of the card {'taken' if taken else 'refused'}"
    return {"measured": said, "mark": "below 0.5 GB, taken", "met": kept < 0.5 and taken}


def out_of_memory(job: Job) -> dict[str, Any]:
    """Train under a cap that a pass of one row fits, and the first pass does not."""
    _, high, batch = job.shape.rows["M"]
    rows = {"M": (high - high // 20, high, batch)}  # so much alike that a step is one pass
    job = replace(job, shape=replace(job.shape, rows=rows))
    work = job.training(
        "M", "lora", packing=False, micro_batch_size=batch, micro_batch_tokens=10**6
    )
    base, said = job.base(), list[str]()
    cap = (gpu_work.planned(base.path, work, rows=1) + gpu_work.planned(base.path, work)) / 2
    if size := card():
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap / size))
    folders = job.work / "capped", job.work / "capped adapter"
    with listening(lambda *_: None, said.append):
        result = train(work.examples, base, work.settings, PLACE, *folders)
    halved, steps = sum("no memory for a pass" in line for line in said), len(work.steps)
    return {
        "measured": f"{result.steps} steps of {steps} in {cap / GB:.1f} GB, passes cut {halved} x",
        "mark": "all steps, cut", "met": result.steps == steps and halved > 0,
    }  # fmt: skip


def merging(job: Job) -> dict[str, Any]:
    """Merge the adapter of a training into its base and write it."""
    began = time.perf_counter()
    merge(job.base(), Path(job.told["adapter"]), PLACE, job.work / "merged")
    seconds, host = time.perf_counter() - began, _host() / GB
    met = seconds < 90 and host < 8
    said = f"{seconds:.0f} s, host {host:.1f} GB"
    return {"measured": said, "mark": "below 90 s and 8 GB", "met": met}


def parity(job: Job) -> dict[str, Any]:
    """Count the greedy tokens of an adapter that the merged model prefers, too.

    Both compute in the device's type, the merged one on the tokens that the adapter wrote: behind
    one other token nothing could be compared.
    """
    base, rows, folder = job.base(learned=True), method_rates.rows(), job.work / "parity"
    settings = TrainSettings(method="qlora", max_steps=8, batch_size=8, evaluations=1)
    train(rows, base, settings, PLACE, folder / "work", folder / "adapter")
    model, tokenizer = load_adapter(base, folder / "adapter", PLACE)
    prompts = [prompt_ids(tokenizer, turns[:-1]) for turns in rows["messages"].to_list()]
    said = predict(model, prompts, stop_ids(tokenizer), 24).answers
    merge(base, folder / "adapter", PLACE, folder / "merged")
    with torch.no_grad():
        logits = answer_logits(load_model(folder / "merged", DEVICE), prompts, said)
    chosen = torch.cat([row.argmax(-1) for row in logits])
    equal = (chosen == torch.tensor([token for answer in said for token in answer])).float().mean()
    said_so = f"{equal:.2%} of {len(chosen)} in {compute_dtype(DEVICE)}, of {base.name}"
    return {"measured": said_so, "mark": ">=99 %", "met": bool(equal >= 0.99)}


def methods(job: Job) -> dict[str, Any]:
    """Train each method for three steps, load and ask it, and merge it where that is possible."""
    base, rows, failed = job.base(learned=True), method_rates.rows(24, 4), {}
    names = job.told.get("methods") or list(METHODS)
    for name in names:
        settings = TrainSettings(method=name, max_steps=3, batch_size=4, evaluations=1)
        with tempfile.TemporaryDirectory(dir=job.work) as folder:
            work, output, merged = (Path(folder, part) for part in ("work", "adapter", "merged"))
            try:
                train(rows, base, settings, PLACE, work, output)
                reply(*load_adapter(base, output, PLACE), rows["messages"][0].to_list()[:-1], 4)
                if METHODS[name].mergeable:
                    merge(base, output, PLACE, merged)
            except Exception as error:  # whatever it is: the other methods go on
                failed[name] = _line(error)
        free_memory()
    said = "; ".join(
        [f"{len(names) - len(failed)} of {len(names)}", *map(": ".join, failed.items())]
    )
    return {"measured": said, "mark": "all", "met": not failed}


ARMS = {
    each.__name__: each
    for each in (
        make_base, ceilings, training, evaluation, generation, hand_over, out_of_memory, merging,
        parity, methods,
    )
}  # fmt: skip


def _host() -> int:
    return plan_accuracy.resident("VmHWM")


def _line(error: BaseException) -> str:
    traceback.print_exception(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]


def main() -> None:
    """Run the arm that stdin names and print what it measured."""
    told = json.load(sys.stdin)
    try:
        found = ARMS[told["measure"]](Job(SHAPES[told["shape"]], Path(told["work"]), told))
    except (Exception, SystemExit) as error:  # whatever it is: the benchmark says so and goes on
        found = {"error": _line(error), "out_of_memory": is_out_of_memory(error)}
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main()

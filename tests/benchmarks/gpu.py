"""GPU benchmark: training, evaluation, export and hand-over on one card, beside TRL and others.

    make gpu                                              # or:
    .venv/bin/python -m tests.benchmarks.gpu --parts training --minutes 15 --output gpu.json

Prints a Markdown table of what was measured, with pass marks. The base has Qwen2.5-7B's shape and
random weights, made on the card; rows are short (S), medium (M) and long (L). Each arm is a process
of its own that may fail or run out of time: its row says so, and the others go on. Rates are tokens
without padding, peaks those of torch's tensors, host memory the largest resident set. A pass of TRL
has as many tokens as there is memory for. Where there is no CUDA one line says so;
``--shape tiny --device cpu`` tries the script itself there.
"""

import argparse
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import Any

import torch

from flows.engine import environment
from pipeline.train.models.device import unusable_gpu
from tests.benchmarks.gpu_work import OURS, SHAPES, TRL
from tests.benchmarks.plan_accuracy import MODELS

ROOT = Path(__file__).parents[2]
ARM_SECONDS = 240  # most that an arm may take
SHARES = (1, 0.5, 0.25)  # of the tokens for which there should be memory, until there is
Found = Mapping[str, Any]  # what an arm measured, as gpu_arms says, or its ``error``


@dataclass
class Bench:
    """Runs arms until the time is up, and collects the rows of the table."""

    shape: str
    work: Path
    until: float  # by time.monotonic
    rows: list[dict[str, str]] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)

    def run(self, part: str, arm: str, measure: str, **told: Any) -> Found:
        """Run an arm, in a process of its own, and add its row; return what it measured."""
        found = self._process(told | {"measure": measure, "arm": arm})
        self.add(part, arm, found)
        return found

    def train(self, method: str, rows: str, arm: str, flops: float = 0.0) -> Found:
        """Train with an arm, with passes of fewer tokens while there is no memory for them."""
        told = {"measure": "training", "method": method, "rows": rows, "arm": arm, "flops": flops}
        if "Liger" in arm and importlib.util.find_spec("liger_kernel") is None:
            found: Found = {"error": "not run: liger-kernel is not installed"}
        else:
            for share in SHARES:
                found = self._process(told | {"share": share})
                if not found.get("out_of_memory") or arm == "trl defaults":
                    break
        self.add(f"{method} {rows}", arm, found)
        return found

    def ratio(self, part: str, what: str, of: Sequence[float | None], mark: str) -> None:
        """Add a quotient and whether it is as large, or small, as its mark says."""
        found: Found = {"error": "not run: an arm of it has no number"}
        if all(of):
            quotient, limit = of[0] / of[1], float(mark[2:])
            met = quotient >= limit if mark.startswith(">=") else quotient <= limit
            found = {"measured": f"{quotient:.2f}", "mark": mark, "met": met}
        self.add(part, what, found)

    def add(self, part: str, arm: str, found: Found) -> None:
        """Add a row to the table."""
        verdict = {None: "", True: "met", False: "MISSED"}[found.get("met")]
        if error := found.get("error"):
            verdict = "not run" if error.startswith("not run") else "failed"
        said = str(error or found["measured"]).replace("|", "/")
        row = {"part": part, "arm": arm, "measured": said, "pass mark": found.get("mark", "")}
        self.rows.append(row | {"verdict": verdict})
        print(f"{part}, {arm}: {said} {verdict}", file=sys.stderr)

    def _process(self, told: dict[str, Any]) -> Found:
        seconds = min(ARM_SECONDS, self.until - time.monotonic())
        if seconds < 5:
            return {"error": "not run: no time left"}
        job = told | {"shape": self.shape, "work": str(self.work)}
        command = [sys.executable, "-m", "tests.benchmarks.gpu_arms"]
        with Popen(
            command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True
        ) as process:
            try:
                said, _ = process.communicate(json.dumps(job), seconds)
                found: Found = json.loads(said.splitlines()[-1])
            except TimeoutExpired:
                found = {"error": f"out of time after {seconds:.0f} s"}
            except (IndexError, ValueError):
                found = {"error": f"its process ended with code {process.wait()}"}
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        self.found.append({**job, **found})
        return found


def training(bench: Bench) -> None:
    """Train LoRA and QLoRA with every arm, those that decide most first; compare the fastest."""
    flops = next((one["flops"] for one in bench.found if "copied" in one), 0.0)
    kinds = [(method, rows) for method in ("lora", "qlora") for rows in SHAPES[bench.shape].rows]
    ours, theirs = tuple(OURS), TRL
    order = (ours[0], theirs[0], ours[1], *theirs[1:3], ours[2], theirs[3])
    jobs = [(*kind, arm) for arm in order for kind in kinds if arm != ours[2] or kind[0] == "qlora"]
    found = {job: bench.train(*job, flops=flops) for job in jobs}

    def fastest(kind: tuple[str, str], side: Sequence[str]) -> Found:
        ran = [found[*kind, arm] for arm in side if "rate" in found.get((*kind, arm), {})]
        return max(ran, key=lambda one: one["rate"], default={})

    for method, rows in kinds:
        own, other = (fastest((method, rows), side) for side in (ours, theirs))
        part, least = f"{method} {rows}", "1.3" if rows == "S" else "1.0"
        rates, peaks = ([one.get(key) for one in (own, other)] for key in ("rate", "peak"))
        bench.ratio(part, "rate of the fastest, ours / TRL's", rates, f">={least}")
        bench.ratio(part, "peak of these two, ours / TRL's", peaks, "<=1.0")
        if rows != "S" and method == "lora":
            bench.ratio(part, "share of the matrix rate", [own.get("used"), flops], ">=0.4")
        if rows != "S" and method == "qlora":
            lora = fastest(("lora", rows), ours).get("rate")
            bench.ratio(part, "rate of ours, QLoRA / LoRA", [rates[0], lora], ">=0.85")


def evaluation(bench: Bench) -> None:
    """Answer rows as the product does, and with transformers' generate."""
    arms = {"tuneloop": "evaluation", "transformers": "generation"}
    rates = [bench.run("evaluation", arm, name).get("rate") for arm, name in arms.items()]
    bench.ratio("evaluation", "rate, ours / transformers'", rates, ">=2.0")


def export(bench: Bench) -> None:
    """Merge a QLoRA adapter into the base; compare the answers of one that has learned."""
    bench.run("export", "greedy tokens as the adapter's", "parity")
    adapter = bench.work / "qlora S tuneloop"
    if not (adapter / "run_card.json").is_file():
        bench.train("qlora", "S", "tuneloop")
    bench.run("export", "merged and written", "merging", adapter=str(adapter))


PARTS: dict[str, tuple[float, Callable[[Bench], object]]] = {
    "ceilings": (0.5, lambda bench: bench.run("ceilings", "the card", "ceilings")),
    "training": (16, training),
    "evaluation": (2, evaluation),
    "hand-over": (0.5, lambda bench: bench.run("hand-over", "after release()", "hand_over")),
    "memory": (1, lambda bench: bench.run("memory", "LoRA under a cap", "out_of_memory")),
    "export": (2.5, export),
    "methods": (1.5, lambda bench: bench.run("methods", "three steps each", "methods")),
}
"""Minutes of each part, in order of worth; one more is for the base."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure the parts that are asked for, print the table, return 1 where a mark is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--shape", default="7b", choices=SHAPES)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--output", type=Path, help="write all numbers there, as JSON")
    options = parser.parse_args(words)
    environment.prepare(MODELS)  # offline and silent: the arms inherit it
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        print(f"gpu: nothing measured: {unusable_gpu() or 'there is no CUDA device'}")
        return 0
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # of several, TRL would refuse
    end = time.monotonic() + 60 * options.minutes
    share = 60 * options.minutes / (1 + sum(PARTS[name][0] for name in options.parts))
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        bench = Bench(options.shape, Path(folder), end)
        made = bench.run("base", options.shape, "make_base")
        for name in () if "error" in made else options.parts:
            minutes, part = PARTS[name]
            bench.until = min(end, time.monotonic() + minutes * share)
            part(bench)
            if options.output:
                numbers = {"table": bench.rows, "arms": bench.found}
                options.output.write_text(json.dumps(numbers, indent=1), "utf-8")
    print(markdown(bench.rows))
    return int(any(row["verdict"] in ("MISSED", "failed") for row in bench.rows))


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())

"""Proofs that need the model: rows that do not see each other, gradients, a working adapter."""

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.batch.batches import FILLER, collate, pack
from pipeline.train.methods.layers import Bottleneck
from pipeline.train.models.adapter import put, trainable
from pipeline.train.proofs.data import Proof
from pipeline.train.torch_processes import Processes, held_share

PROBE_TOKENS = 64  # length of the rows that are probed: a second of a model of 135M
MIN_COSINE = 0.999  # of gradients before and after an evaluation; exact layers give 1.000000

MAX_UNEVEN = 0.05  # of a block's values: parameters are cut by rows, an odd one unevenly

MAX_LOGITS_ERROR = 0.1
"""Relative difference of logits, alone and together, that rounding may explain. Of the embedded
model bfloat16 and float32 differ by 0.021, padded rows in bfloat16 by up to 0.024 from rows alone
(CPUs round differently), and by 0.31 and more when rows see each other or the padding."""


def prove_model(
    model: Any, rows: Sequence[Mapping[str, list[int]]], *, packing: bool, rate: float
) -> list[Proof]:
    """Probe a model with a fresh adapter; leaves weights, mode and random state as they were.

    A TrainingError names the proof that failed: packed or padded logits, gradients, adapter.
    """
    few = _probes(rows)
    probe = torch.tensor([few[-1]["input_ids"]], device=model.device)
    with _undisturbed(model):
        return [prove_together(model, few, packing), *prove_adapter(model, probe, rate)]


def prove_apart(model: Any, rows: Sequence[Mapping[str, list[int]]]) -> Proof:
    """Check that packed rows have the logits they have alone; leaves the model as it was."""
    with _undisturbed(model):
        return prove_together(model, _probes(rows), packing=True)


def prove_targets(model: Any, settings: TrainSettings) -> list[Proof]:
    """Say on how many layers of which names the method is; empty for one that is on none."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    names = Counter(
        getattr(module, "parameter_name", path.rpartition(".")[2])
        for path, module in model.named_modules()
        if isinstance(module, BaseTunerLayer | Bottleneck)
    )
    text = ", ".join(f"{count} {name}" for name, count in sorted(names.items()))
    text = f"method {settings.method} is on {names.total()} layers: {text}"
    return [Proof("target layers", names.total(), 1, text)] if names else []


def prove_four_bits(model: Any, rows: Sequence[Mapping[str, list[int]]]) -> Proof:
    """Check the gradients through the 4-bit layers (see :mod:`pipeline.train.models.quantized`).

    They stay the same after an evaluation: gradients, mode and random state are left as they were.
    A TrainingError where they differ, or none arrives.
    """
    probe = torch.tensor([_probes(rows)[-1]["input_ids"]], device=model.device)
    parameters = trainable(model)
    with _undisturbed(model):
        _, before = _look(model, probe, parameters)
        model.eval()
        with torch.no_grad():
            model(input_ids=probe, use_cache=False)
        _, after = _look(model, probe, parameters)
    lowest = 1.0 if before else 0.0
    for name, gradient in before.items():
        flat = gradient.double().flatten()
        other = after.get(name, torch.zeros_like(gradient)).double().flatten()
        cosine = (flat @ other / (flat.norm() * other.norm()).clamp_min(1e-30)).item()
        lowest = min(lowest, cosine)
    if not lowest >= MIN_COSINE:
        raise TrainingError(
            f"gradient probe: after an evaluation the adapter's gradient has cosine {lowest:.3f} "
            f"with the one before; expected {MIN_COSINE} or more; a kernel without a backward pass "
            'is in use, so train with train.method = "lora" or another version of bitsandbytes'
        )
    text = "gradients through the 4-bit layers are the same after an evaluation (lowest cosine)"
    return Proof("4-bit gradients", lowest, MIN_COSINE, text)


def prove_together(model: Any, rows: Sequence[Mapping[str, list[int]]], packing: bool) -> Proof:
    """Check that rows in one forward pass have the logits that they have alone.

    Whether packed rows see each other needs no threshold: with other tokens in the first, the
    logits of the others stay the same bit for bit.
    """
    name = "packed logits" if packing else "padded logits"
    batch = {key: [row[key] for row in rows] for key in ("input_ids", "labels")}
    model.eval()
    with torch.no_grad():
        each = (torch.tensor([ids], device=model.device) for ids in batch["input_ids"])
        alone = [_logits(model, ids)[0] for ids in each]
        if packing:
            ids, _, positions = pack(batch, model.device)
            together = _logits(model, ids, positions)[0]
            first = len(batch["input_ids"][0])
            ids[0, :first] = FILLER
            seen = (_logits(model, ids, positions)[0] - together)[first:].abs()
            if seen.any():
                raise TrainingError(
                    f"{name}: rows behind another change with its tokens (logits by "
                    f"{seen.max():.2g}); expected the same bit for bit; set train.packing = false"
                )
        else:
            found = _logits(model, collate(batch, model.device)[0])
            together = torch.cat(
                [logits[: len(row)] for logits, row in zip(found, alone, strict=True)]
            )
            del found
    expected = torch.cat(alone)
    alone.clear()
    error = (together.sub_(expected).norm() / expected.norm()).item()
    if not error <= MAX_LOGITS_ERROR:
        advice = "train.packing = false" if packing else "train.micro_batch_size = 1"
        raise TrainingError(
            f"{name}: rows together have other logits than alone (relative difference "
            f"{error:.3f}); expected {MAX_LOGITS_ERROR} or less, or the rows see each other; set "
            f"{advice}"
        )
    text = f"{len(rows)} rows in one forward pass have the logits they have alone"
    text += ", and none changes with the tokens of another" * packing
    return Proof(name, error, MAX_LOGITS_ERROR, text)


def prove_adapter(model: Any, input_ids: Any, rate: float) -> list[Proof]:
    """Check that gradients arrive everywhere, and that the first update changes the output.

    The update is AdamW's first one: each value moves by the rate against the sign of its gradient,
    and is put back. A tensor without a gradient before it (LoRA's A while B is zero) has to have
    one behind it.
    """
    parameters = trainable(model)
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    before, gradients = _look(model, input_ids, parameters)
    with torch.no_grad():
        for name, gradient in gradients.items():
            parameters[name].sub_(rate * gradient.sign())
    at_once = set(gradients)
    after, gradients = _look(model, input_ids, parameters)
    put(kept, parameters)
    change = ((after - before).norm() / before.norm()).item()
    if change == 0:  # one that is no number is named by the loop
        raise TrainingError(
            "adapter: the adapter changes nothing: after an update the output is that of the base "
            "model; expected another output; raise train.learning_rate or train.alpha, or choose "
            "another train.method"
        )
    missing = [name for name in parameters if name not in at_once | set(gradients)]
    if missing:
        raise TrainingError(
            f"gradients: none arrives at {len(missing)} of {len(parameters)} trainable tensors, "
            f"such as {missing[0]}; expected one at each; choose other target layers or another "
            "train.method"
        )
    later = len(parameters) - len(at_once)
    text = f"gradients arrive at all {len(parameters):,} trainable tensors"
    text += f", at {later:,} of them after the first update" if later else ""
    return [
        Proof("gradients", len(parameters), len(parameters), text),
        Proof("adapter", change, 0, "the first update changes the output (relative difference)"),
    ]


def prove_equal(processes: Processes, model: Any) -> Proof:
    """Check that all processes hold the same trained weights, once training is over."""
    spread = processes.difference(trainable(model))
    if spread:
        raise TrainingError(
            f"equal processes: the weights of {processes.count} processes differ by {spread:.3g}; "
            "expected the same on each; give each process the same hardware and libraries, or set "
            "train.processes = 1"
        )
    text = f"{processes.count} processes hold the same weights at the end"
    return Proof("equal processes", spread, 0, text)


def prove_sharded(processes: Processes, model: Any) -> Proof:
    """Check that this process holds no more than its share of the blocks of a frozen base."""
    share, most = held_share(model.get_base_model().get_decoder()), 1 / processes.count
    if share > most + MAX_UNEVEN:
        raise TrainingError(
            f"sharded base: each of {processes.count} processes holds {share:.0%} of its blocks; "
            f"expected {most:.0%}; choose another train.method, or a base that fits on one device"
        )
    text = f"each of {processes.count} processes holds its share of the base's blocks"
    return Proof("sharded base", share, most, text)


def _look(model: Any, input_ids: Any, parameters: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return logits in training mode and the gradients that are not zero."""
    torch.manual_seed(0)  # the same dropout each time
    model.train()
    model.zero_grad(set_to_none=True)
    with warnings.catch_warnings():
        # torch warns of a kernel without a backward pass; the caller finds out for certain.
        warnings.filterwarnings("ignore", message=".*an autograd kernel was not registered")
        logits = _logits(model, input_ids)
        loss: Any = cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())
        loss.backward()
    gradients = {
        name: parameter.grad
        for name, parameter in parameters.items()
        if parameter.grad is not None and parameter.grad.any()
    }
    model.zero_grad(set_to_none=True)
    return logits.detach(), gradients


def _logits(model: Any, input_ids: Any, position_ids: Any = None) -> Any:
    """Return logits in float32, shape (rows, tokens, vocabulary)."""
    logits = model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
    return logits[:, -input_ids.shape[1] :].float()


def _probes(rows: Sequence[Mapping[str, list[int]]]) -> list[dict[str, list[int]]]:
    """Return up to three rows, cut to a quarter, half and all of PROBE_TOKENS, the longest last."""
    cuts = (PROBE_TOKENS, PROBE_TOKENS // 2, PROBE_TOKENS // 4)
    return [
        {key: row[key][:cut] for key in ("input_ids", "labels")}
        for row, cut in zip(rows, cuts, strict=False)
    ][::-1]


@contextlib.contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    training = model.training
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
    model.train(training)

"""Fine-tune an adapter: tokenize, prove, train, save.

The loop is a plain one, since it is faster than the general trainers (``make bench`` compares). It
sorts rows by length, runs the output head on supervised positions only, a piece at a time, computes
what rows begin with once, and trains fused layers (:mod:`pipeline.train.loop.fused`).
"""

import json
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pandera.typing.polars import DataFrame

from pipeline.core.cache import digest
from pipeline.core.errors import TrainingError
from pipeline.core.store import DROPPED
from pipeline.settings import ModelSettings, TrainSettings
from pipeline.text.chat_template import template_digest
from pipeline.train.batch.batches import sized
from pipeline.train.batch.rows import Rows, supervised, tokenize
from pipeline.train.loop.attention import attention, packs
from pipeline.train.loop.checkpoint import Measured
from pipeline.train.loop.fused import fused
from pipeline.train.loop.loop import Run
from pipeline.train.methods import METHODS, parameter_groups, resolved
from pipeline.train.models import adapter
from pipeline.train.models.base_model import BaseModel, hidden_size, load_tokenizer
from pipeline.train.models.check import check_rows
from pipeline.train.models.distill import find_teacher, load_teacher
from pipeline.train.models.quantized import dequantize, dequantizes_once
from pipeline.train.peak_memory import naming_the_setting
from pipeline.train.proofs.data import (
    Mask,
    Proof,
    prove_mask,
    prove_no_leak,
    prove_template,
    shown_masks,
)
from pipeline.train.proofs.model import (
    prove_equal,
    prove_four_bits,
    prove_model,
    prove_sharded,
    prove_targets,
)
from pipeline.train.torch_processes import Processes
from schemas.base import Drops
from schemas.pairs import Examples

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors")
"""What the numbers of a training run depend on; their versions are on the run card."""
START_ROWS = 64  # train rows that a method may take its initial values from


@dataclass(slots=True, kw_only=True)
class TrainingResult(Measured):
    """What a training run was and what came of it."""

    method: str
    base_model: str
    trainable_parameters: int
    supervised_tokens: int  # trained tokens in one epoch
    tokens_per_second: float  # tokens without padding over the time in training steps
    fused_layers: int  # layers that computed in one piece
    steps: int
    rows_in: int
    rows_kept: int
    dropped: DataFrame[Drops]  # not to be trained on; rows_in == rows_kept + dropped.height
    proofs: list[Proof]
    masks: list[Mask]  # the loss mask of a few train rows, to look at

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values; the ledger as a list of its rows."""
        return asdict(self) | {"dropped": self.dropped.to_dicts()}

    def write(self, folder: Path, **more: float) -> dict[str, Any]:
        """Write ``training.json`` and the dropped rows; return the former."""
        record = self.to_dict() | more
        self.dropped.write_parquet(folder / DROPPED)
        (folder / adapter.RESULT).write_text(json.dumps(record, indent=1), "utf-8")
        return record


@naming_the_setting(
    "lower train.micro_batch_tokens or train.max_tokens, set train.gradient_checkpointing = "
    'true, or take train.method = "qlora"; `tuneloop plan` shows what each takes'
)
def train(
    examples: DataFrame[Examples], base: BaseModel, settings: TrainSettings,
    model_settings: ModelSettings, work: Path, output: Path, processes: Processes | None = None,
) -> TrainingResult:  # fmt: skip
    """Fine-tune an adapter on the train rows, watched on the validation rows.

    A killed run that is started again with the same arguments goes on from its last checkpoint in
    ``work`` and writes the same bytes as an undisturbed one (on a CPU). Torch's random state is
    left as it was. Before the first step all of :mod:`pipeline.train.proofs` is proven. ``output``
    gets adapter_model.safetensors and adapter_config.json (method full: model.safetensors and
    config.json), and run_card.json (last). Of several processes the first one writes.

    Raises SettingsError for a setting that the method does not use, and TrainingError where no row
    can be trained on, one is beyond the context or the vocabulary of the base model, a proof failed
    (the message names it), the loss is not a number, or there is no memory left.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats()
    settings = resolved(settings, hidden_size(base.path))
    proofs = prove_no_leak(examples)
    rows_in = examples.filter(examples["split"] != "test").height
    tokenizer = load_tokenizer(base.path, base.thinking)
    rows = tokenize(examples, tokenizer, settings.max_tokens)
    proofs += [prove_template(rows, base), *prove_mask(rows, tokenizer)]
    teacher = find_teacher(settings, work)
    guide = load_teacher(teacher, tokenizer, model_settings) if teacher else None
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), ExitStack() as stack:
        torch.manual_seed(settings.seed)
        shards = processes if processes and processes.sharded else None
        with shards.one_by_one() if shards else nullcontext():
            model, unpacked = _prepared(base, model_settings, rows, settings, proofs, shards)
            parts = shards.spread(model) if shards else ()
            fused_layers = stack.enter_context(fused(model, parts))
        on_gpu, wanted = model.device.type == "cuda", settings.packing is not False
        apart = on_gpu and wanted and packs(model, guide, rows.train)
        if settings.packing is None:
            settings = settings.model_copy(update={"packing": apart})
        settings = sized(settings, model.device.type)
        stack.enter_context(attention(model, guide, apart=apart))
        if shards:
            proofs.append(prove_sharded(shards, model))
        if METHODS[settings.method].quantized and not unpacked:
            proofs.append(prove_four_bits(model, rows.train))
        rate = parameter_groups(model, settings)[0]["lr"]
        proofs += prove_model(model, rows.train, packing=bool(settings.packing), rate=rate)
        card = _run_card(base, tokenizer, settings, rows, model)
        replayed = set(examples.filter(origin="replay")["pair_id"])
        if replayed:
            card["rows"]["replay"] = sum(key in replayed for key in rows.train["pair_id"])
        if teacher:
            card["distilled_from"] = {"name": teacher.name, "digest": teacher.digest}
        content = [split[:] for split in (rows.train, rows.validation)]
        fingerprint = digest(card | {"content": content})
        history, best = Run(model, rows, settings, work, processes, guide).go(fingerprint)
    if processes:
        proofs.append(prove_equal(processes, model))
    if processes is None or processes.first:
        kept = {"best_step": history.best_step, "steps": history.step}
        adapter.save_adapter(model, best, base, output, card | kept)
    return TrainingResult(
        method=settings.method,
        base_model=base.name,
        trainable_parameters=card["trainable_parameters"],
        supervised_tokens=card["supervised_tokens"],
        tokens_per_second=history.tokens / history.seconds if history.seconds else 0.0,
        fused_layers=fused_layers,
        steps=history.step,
        rows_in=rows_in,
        rows_kept=len(rows.train) + len(rows.validation),
        dropped=rows.dropped,
        proofs=proofs,
        masks=shown_masks(rows, tokenizer),
        **{each.name: getattr(history, each.name) for each in fields(Measured)},
    )


def _prepared(
    base: BaseModel, model_settings: ModelSettings, rows: Rows, settings: TrainSettings,
    proofs: list[Proof], shards: Processes | None,
) -> tuple[Any, bool]:  # fmt: skip
    """Return the base with its adapter, and whether its 4 bits were unpacked; adds to the proofs.

    One that is spread over processes is on the host still: it may be too large for any device.
    """
    method = METHODS[settings.method]
    if shards and method.preset.targets is None:
        raise TrainingError(
            f"train.launch_config: fsdp found with method {method.name}; expected LoRA or its kin, "
            'beside a frozen base that is spread; set train.method = "qlora", or write the file '
            "with `tuneloop plan --launch ddp`"
        )
    if shards and settings.dequantize == "once":
        raise TrainingError(
            "train.dequantize: once found where the base is spread over processes, to save memory; "
            "expected auto or each_time; remove it"
        )
    model = adapter.load_base(base, model_settings, method.quantized, on_host=bool(shards))
    check_rows(rows, model, settings)
    model = adapter.attach_adapter(model, method, settings, rows.train[:START_ROWS]["input_ids"])
    proofs += prove_targets(model, settings)
    if not method.quantized or shards or not dequantizes_once(settings, model):
        return model, False
    proofs.append(prove_four_bits(model, rows.train))
    return dequantize(model), True


def _run_card(
    base: BaseModel, tokenizer: Any, settings: TrainSettings, rows: Rows, model: Any
) -> dict[str, Any]:
    """Say what the adapter was trained from and how: nothing that differs between equal runs."""
    return {
        "method": settings.method,
        "base_model": {"name": base.name, "digest": base.digest},
        "template_digest": template_digest(tokenizer),
        "settings": settings.model_dump(mode="json"),
        "seeds": {"train": settings.seed},
        "device": model.device.type,
        "compute_dtype": str(model.config.dtype).removeprefix("torch."),
        "rows": {
            "train": len(rows.train),
            "validation": len(rows.validation),
            "dropped": rows.dropped.height,
        },
        "supervised_tokens": sum(map(supervised, rows.train["labels"])),
        "trainable_parameters": sum(part.numel() for part in adapter.trainable(model).values()),
        "libraries": {name: version(name) for name in LIBRARIES},
    }

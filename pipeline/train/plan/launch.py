"""The configuration of `accelerate launch` for a training on several processes."""

from pathlib import Path
from typing import Any, Literal

from pipeline.settings import TrainSettings
from pipeline.train.plan.hardware import Hardware

Kind = Literal["ddp", "fsdp"]

BLOCKS = {
    "llama": "LlamaDecoderLayer",
    "mistral": "MistralDecoderLayer",
    "qwen2": "Qwen2DecoderLayer",
    "qwen3": "Qwen3DecoderLayer",
}
"""Class of a block in transformers: what FSDP gathers at a time."""


def launch_config(
    kind: Kind, processes: int, hardware: Hardware, architecture: str, settings: TrainSettings
) -> dict[str, Any]:
    """Return the configuration, in accelerate's own format.

    Args:
        kind: ``ddp``: each process has the whole model; ``fsdp``: weights, gradients and moments
            are spread over the processes by a program that lets accelerate wrap its model (our
            trainer does not: it shares the micro batches and keeps the model whole).
        processes: how many.
        hardware: where; CPU processes talk through gloo.
        architecture: ``model_type`` of the base model.
        settings: gradient checkpointing is the trainer's own, so FSDP's stays off.
    """
    cpu = hardware.kind == "cpu"
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "debug": False,
        # On a CPU too: for MULTI_CPU accelerate 1.15 starts one process unless there is MPI.
        "distributed_type": "MULTI_GPU",
        "enable_cpu_affinity": False,
        "machine_rank": 0,
        "main_process_port": 0,
        "main_training_function": "main",
        # The trainer sets the types itself: weights in the compute type, adapters in float32.
        "mixed_precision": "no",
        "num_machines": 1,
        "num_processes": processes,
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": cpu,
    }
    if kind == "fsdp":
        config["distributed_type"] = "FSDP"
        config["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_transformer_layer_cls_to_wrap": BLOCKS[architecture],
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": not cpu,
            "fsdp_offload_params": False,
            "fsdp_activation_checkpointing": False,
        }
    return config


def write_launch_config(config: dict[str, Any], path: Path) -> None:
    """Write the configuration as YAML."""
    import yaml  # type: ignore[import-untyped]

    path.write_text(yaml.safe_dump(config, sort_keys=True), "utf-8")

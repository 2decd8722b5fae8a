"""Built-in configs of common base models, and graphics cards, each with its source."""

from dataclasses import dataclass
from typing import Any

from pipeline.train.plan.shapes import Linear, Shape


@dataclass(frozen=True)
class Known:
    """A published base model: its repository on the Hugging Face Hub, and its config.json there."""

    source: str
    parameters: int  # as published in the metadata of its safetensors files
    config: dict[str, Any]


SIZES = (
    "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "vocab_size", "tie_word_embeddings",
)  # fmt: skip

CATALOGUE = {
    name: Known(source, parameters, dict(zip(SIZES, sizes, strict=True)))
    for name, source, parameters, sizes in (
        ("135m", "HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008,
         ("llama", 576, 1536, 30, 9, 3, 49_152, True)),
        ("360m", "HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120,
         ("llama", 960, 2560, 32, 15, 5, 49_152, True)),
        ("1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384,
         ("llama", 2048, 8192, 24, 32, 32, 49_152, True)),
        ("7b", "meta-llama/Llama-2-7b-hf", 6_738_415_616,
         ("llama", 4096, 11_008, 32, 32, 32, 32_000, False)),
        ("qwen2.5-7b", "Qwen/Qwen2.5-7B-Instruct", 7_615_616_512,
         ("qwen2", 3584, 18_944, 28, 28, 4, 152_064, False)),
        ("8b", "meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248,
         ("llama", 4096, 14_336, 32, 32, 8, 128_256, False)),
        ("13b", "meta-llama/Llama-2-13b-hf", 13_015_864_320,
         ("llama", 5120, 13_824, 40, 40, 40, 32_000, False)),
        ("32b", "Qwen/Qwen2.5-32B-Instruct", 32_763_876_352,
         ("qwen2", 5120, 27_648, 64, 40, 8, 152_064, False)),
        ("70b", "meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496,
         ("llama", 8192, 28_672, 80, 64, 8, 128_256, False)),
    )
}  # fmt: skip
"""Base models by the name they are asked for with ``--base``: all of them Llama's or Qwen2's."""


def built_in(name: str) -> Shape:
    """Return the shape of a base model of the catalogue, by arithmetic: torch takes seconds."""
    known = CATALOGUE[name]
    kind, hidden, inner, layers, heads, kv_heads, vocabulary, tied = known.config.values()
    width = hidden // heads * kv_heads
    narrow = [
        Linear(f"{part}_proj", hidden, size, count=layers)
        for part, size in (("q", hidden), ("k", width), ("v", width), ("o", hidden))
    ]
    gate, up = (Linear(f"{part}_proj", hidden, inner, count=layers) for part in ("gate", "up"))
    mlp = (gate, up, Linear("down_proj", inner, hidden, count=layers))
    weights = sum(part.weights * layers for part in (*narrow, *mlp))
    biases = layers * (hidden + 2 * width) if kind == "qwen2" else 0
    vectors = (2 * layers + 1) * hidden + biases
    parameters = weights + vectors + vocabulary * hidden * (1 if tied else 2)
    return Shape(
        known.source, f"{kind.capitalize()}DecoderLayer", hidden, layers, heads, kv_heads,
        hidden // heads, vocabulary, tuple(narrow), mlp, norms=2 * layers + 1, head_norms=0,
        window=None, eager=False, counted=True, parameters=parameters, language=parameters,
        vectors=vectors, linear_parameters=weights,
    )  # fmt: skip


@dataclass(frozen=True)
class Card:
    """A graphics card."""

    gigabytes: int  # memory, GiB, as named by its maker
    teraflops: float
    """Dense matrix multiplication in bfloat16 (float32 where it has no bfloat16) with float32
    sums, 1e12 FLOPs a second, without sparsity."""
    source: str
    bfloat16: bool = True


CARDS = {
    "t4": Card(16, 8.1, "NVIDIA T4 datasheet, 2019: FP32", bfloat16=False),
    "l4": Card(24, 121, "NVIDIA L4 datasheet, 2023: 242 with sparsity"),
    "a10g": Card(24, 70, "AWS EC2 G5, NVIDIA A10G: 70 dense"),
    "rtx3090": Card(24, 71, "NVIDIA Ampere GA102 whitepaper, 2020: float32 accumulate"),
    "rtx4090": Card(24, 165, "NVIDIA Ada whitepaper, 2022: float32 accumulate"),
    "rtxa6000": Card(48, 155, "NVIDIA RTX A6000 datasheet, 2021: 310 with sparsity"),
    "l40s": Card(48, 362, "NVIDIA L40S datasheet, 2023: 733 with sparsity"),
    "a100-40": Card(40, 312, "NVIDIA A100 datasheet, 2020"),
    "a100-80": Card(80, 312, "NVIDIA A100 datasheet, 2020"),
    "h100": Card(80, 989, "NVIDIA H100 SXM datasheet, 2023: 1,979 with sparsity"),
    "h200": Card(141, 989, "NVIDIA H200 datasheet, 2023: 1,979 with sparsity"),
    "b200": Card(180, 2250, "NVIDIA DGX B200 datasheet, 2024: 36 PFLOPS over 8 with sparsity"),
}

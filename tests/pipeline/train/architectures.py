"""Base models of many architectures: 2 layers, 64 wide, random weights, a tokenizer of bytes."""

import json
from pathlib import Path

from pipeline.core.outcome import table
from pipeline.settings import ModelSettings
from pipeline.train.models.base_model import resolve_model
from schemas.pairs import Examples

CPU = ModelSettings(device="cpu", threads=1)
SIZE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 512, "vocab_size": 259,
}  # fmt: skip
GROUPED = SIZE | {"num_key_value_heads": 2, "head_dim": 16}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2,
    "linear_num_value_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip
EYES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
ARCHITECTURES = {
    "llama": GROUPED,
    "gemma2": GROUPED,
    "gpt_oss": GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 259},
    "gemma3": {
        "text_config": GROUPED, "vision_config": EYES, "mm_tokens_per_image": 4,
        "image_token_index": 258, "boi_token_index": 257, "eoi_token_index": 256,
    },
    "mistral3": {
        "text_config": GROUPED | {"model_type": "mistral"}, "image_token_index": 258,
        "vision_config": EYES | {"model_type": "pixtral", "head_dim": 16},
    },
    "qwen3_5": {
        "text_config": GROUPED | LINEAR,
        "vision_config": {
            "depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 64, "patch_size": 14, "num_position_embeddings": 16,
        },
    },
    "phi3": GROUPED,
    "glm4": GROUPED,
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 259},
    "gpt_neox": SIZE,
    "falcon": SIZE | {"ffn_hidden_size": 96},
    "opt": SIZE | {"ffn_dim": 96, "word_embed_proj_dim": 64},
    "qwen3_moe": GROUPED
    | {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
        "decoder_sparse_step": 1,
    },
    "mixtral": GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2},
}  # fmt: skip
"""What goes into the configuration, by ``model_type``."""

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_base(kind, folder, **changes):
    """Save a random model of an architecture and return it as a base model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    path = Path(folder) / kind
    more = ARCHITECTURES[kind] | {"pad_token_id": 256, "eos_token_id": 258, "bos_token_id": None}
    config = AutoConfig.for_model(kind, **more | changes)
    has_eyes = "vision_config" in ARCHITECTURES[kind]
    made = AutoModelForImageTextToText if has_eyes else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made.from_config(config, dtype=torch.float32).save_pretrained(path)
    return add_tokenizer(path)


def add_tokenizer(path):
    """Put the tokenizer of bytes beside weights."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.save(str(path / "tokenizer.json"))
    said = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "clean_up_tokenization_spaces": False,
        "extra_special_tokens": ["<|im_start|>"],
    }  # fmt: skip
    (path / "tokenizer_config.json").write_text(json.dumps(said))
    (path / "chat_template.jinja").write_text(TEMPLATE)
    return resolve_model(ModelSettings(base_model=str(path)), path.parent / "models")


def make_rows(count=8, question="How often is filter {} rinsed?"):
    """Examples of one form; the last two are validation rows."""
    return table(
        Examples,
        (
            {
                "pair_id": f"{i:016x}", "doc_id": f"{i:016x}", "cluster_id": f"{i:016x}",
                "split": "validation" if i >= count - 2 else "train",
                "origin": "grounded", "status": "accepted",
                "messages": [
                    {"role": "user", "content": question.format(i)},
                    {"role": "assistant", "content": f"Each {i} days."},
                ],
            }
            for i in range(count)
        ),
    )  # fmt: skip

"""Every family of today goes the whole way: checked, trained, judged, merged, exported, loaded.

Each is a random model of two layers of its real class, with tokenizer and template in its style.
"""

import pytest
import torch

from flows.models.export import _proven
from pipeline.core.errors import TrainingError
from pipeline.evaluate.retention.forgetting import GeneralSet, Question
from pipeline.evaluate.retention.general import general_scores
from pipeline.settings import (
    EvaluateSettings,
    ExportSettings,
    ModelSettings,
    Settings,
    TrainSettings,
)
from pipeline.text.chat_template import prompt_ids, render
from pipeline.train.export.exporters import EXPORTERS, Source
from pipeline.train.loop.trainer import train
from pipeline.train.methods import resolved
from pipeline.train.models.adapter import load_adapter
from pipeline.train.models.adapter_swap import Swap
from pipeline.train.models.base_model import load_tokenizer, resolve_model
from pipeline.train.models.check import check_base, check_method
from tests.pipeline.evaluate.answering import answer
from tests.pipeline.families import write_tokenizer
from tests.pipeline.templates import ALL, CHATML
from tests.pipeline.train.architectures import (
    ARCHITECTURES,
    CPU,
    GROUPED,
    LINEAR,
    SIZE,
    add_tokenizer,
    make_rows,
)

WINDOW = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 48}
ROUTED = EXPERTS | {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}
LATENT = {
    "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16,
    "v_head_dim": 16, "num_key_value_heads": 4, "head_dim": 8, "n_group": 1, "topk_group": 1,
}  # fmt: skip
SCALED = {
    "logits_scaling": 4.0, "residual_multiplier": 0.5, "embedding_multiplier": 2.0,
    "attention_multiplier": 0.2,
}  # fmt: skip
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 16}

DATED = (  # Granite, SmolLM3: today's date in a system turn of the template's own, a switch
    "{%- if messages[0].role != 'system' %}<|im_start|>system\nToday is {{ "
    "strftime_now('%d %B %Y') }}.<|im_end|>\n{%- endif %}{%- for m in messages %}\n<|im_start|>"
    "{{ m.role }}\n{{ m.content }}<|im_end|>{%- endfor %}{%- if add_generation_prompt %}\n"
    "<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n{% endif %}"
    "{%- endif %}"
)
TURNS = (  # OLMo 2, Falcon 3: roles in plain words, the end token behind answers alone
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{{ eos_token if m.role == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
END = {"special": ["<|endoftext|>", "<|endoftext|>"]}
OWN = {"dated": (DATED, CHATML), "turns": (TURNS, END), "none": ("", END)}

FAMILIES = {
    "llama": ("llama3_2", {}),
    "mistral": ("mistral_v0.3", GROUPED | {"sliding_window": 16}),
    "mixtral": ("mistral_v0.1", {}),
    "qwen2": ("qwen2_5", GROUPED),
    "qwen3": ("qwen3", GROUPED),
    "qwen3_moe": ("qwen3_instruct_2507", {}),
    "qwen3_next": (
        "qwen3_5_think",
        GROUPED | LINEAR | EXPERTS | {"num_experts": 4, "shared_expert_intermediate_size": 48},
    ),
    "qwen3_5_text": ("qwen3_5_nothink", GROUPED | LINEAR),
    "gemma2": ("gemma", {}),
    "gemma3_text": ("gemma3", GROUPED | WINDOW),
    "phi3": ("phi3", {}),
    "gpt2": ("none", {}),
    "gpt_neox": ("none", {}),
    "olmo2": ("turns", GROUPED),
    "granite": ("dated", GROUPED | SCALED),
    "smollm3": ("dated", GROUPED | {"no_rope_layers": [1, 0]}),
    "glm4": ("glm4moe", {}),
    "glm4_moe": ("glm4moe", GROUPED | ROUTED),
    "cohere2": ("cohere2", GROUPED | WINDOW | {"max_position_embeddings": 2048}),
    "deepseek_v3": ("deepseek_r1_distill", GROUPED | ROUTED | LATENT),
    "gpt_oss": ("gptoss", {}),
    "llama4_text": (
        "llama3_1",
        GROUPED | {"num_local_experts": 2, "intermediate_size_mlp": 96, "moe_layers": [1]},
    ),
    "phimoe": ("phi3_5", GROUPED | {"num_local_experts": 4}),
    "falcon_h1": ("turns", GROUPED | MAMBA | {"mamba_d_ssm": 64, "mamba_chunk_size": 16}),
    "lfm2": (
        "lfm2",
        GROUPED
        | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    ),
    "bamba": ("turns", GROUPED | MAMBA | {"mamba_d_head": 32, "attn_layer_indices": [1]}),
    "nemotron_h": (
        "nemotron_3_nano",
        SIZE
        | EXPERTS
        | {
            "num_hidden_layers": 4, "hybrid_override_pattern": "M-*E", "num_key_value_heads": 2,
            "head_dim": 16, "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 16,
            "n_groups": 1, "chunk_size": 16, "n_routed_experts": 4,
            "moe_shared_expert_intermediate_size": 48,
        },
    ),
    "laguna": (  # its shared experts have another name in the files
        "turns",
        GROUPED
        | EXPERTS
        | {
            "num_experts": 4, "shared_expert_intermediate_size": 48,
            "num_attention_heads_per_layer": [4, 4], "mlp_layer_types": ["dense", "sparse"],
            "layer_types": ["full_attention", "full_attention"],
        },
    ),
    "glm_moe_dsa": (
        "glm4moe",
        GROUPED
        | ROUTED
        | LATENT
        | {"mlp_layer_types": ["dense", "sparse"], "index_head_dim": 16, "index_n_heads": 2},
    ),
    "gemma3n_text": (
        "gemma3",
        GROUPED
        | WINDOW
        | {
            "hidden_size_per_layer_input": 16, "altup_num_inputs": 2, "num_kv_shared_layers": 0,
            "laurel_rank": 8, "altup_correct_scale": False, "vocab_size_per_layer_input": 259,
        },
    ),
}  # fmt: skip
"""``model_type`` -> style of its template, and its configuration where no other test has it."""

GENERAL = GeneralSet(
    {"pump": "The pump runs at noon.", "water": "Water boils at one hundred degrees."},
    (Question("wet", "What is wet?", ("water", "sand", "a stone wall"), 0),),
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Base models by family, each made once."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder, made = tmp_path_factory.mktemp("families"), {}

    def base(kind):
        if kind in made:
            return made[kind]
        style, config = FAMILIES[kind]
        template, family = OWN.get(style) or ALL[style]
        tokens = {key: value for key, value in family.items() if key not in ("before", "end")}
        tokenizer = write_tokenizer(folder / kind, template, **tokens)
        kept = {file.name: file.read_bytes() for file in (folder / kind).iterdir()}
        ids = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}
        size = {"vocab_size": tokenizer.get_vocab_size()}
        config = AutoConfig.for_model(kind, **(config or ARCHITECTURES[kind]) | ids | size)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.save_pretrained(folder / kind)
        (folder / kind / "generation_config.json").unlink(missing_ok=True)
        for name, content in kept.items():
            (folder / kind / name).write_bytes(content)
        settings = ModelSettings(base_model=str(folder / kind))
        made[kind] = resolve_model(settings, folder / "models")
        return made[kind]

    return base


def test_there_are_families_enough():
    assert len(FAMILIES) >= 14


@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_goes_the_whole_way(bases, tmp_path, kind, method):
    base, rows = bases(kind), make_rows()
    check_base(base, tmp_path)
    settings = TrainSettings(
        method=method, max_steps=2, batch_size=4, evaluations=1, learning_rate=0.01, max_tokens=1024
    )
    check_method(base, resolved(settings), tmp_path)
    result = train(rows, base, settings, CPU, tmp_path / "work", tmp_path / "adapter")
    assert result.steps == 2
    assert {proof.name for proof in result.proofs} >= {"loss mask", "gradients", "adapter"}

    model, tokenizer = load_adapter(base, tmp_path / "adapter", CPU)
    judged = EvaluateSettings(max_new_tokens=4, batch_size=4)
    assert answer("challenger", rows[:4], model, tokenizer, judged)["loss"].is_not_nan().all()
    assert general_scores(GENERAL, model, tokenizer)["loss"].is_not_nan().all()

    prompts = [prompt_ids(tokenizer, row["messages"][:-1]) for row in rows[:4].to_dicts()]
    limits = Settings(model=CPU, export=ExportSettings(new_tokens=6))
    source = Source(tmp_path / "adapter", base, prompts, limits, tmp_path / "scratch")
    facts = _proven(EXPORTERS["merged"], source, tmp_path / "merged")
    assert facts["merge"]["changed"] == facts["merge"]["layers"] > 0
    assert facts["parity"]["equal_prompts"] == 4
    _proven(EXPORTERS["adapter"], source, tmp_path / "served")

    served = load_tokenizer(tmp_path / "merged")
    for row in rows[:2].to_dicts():
        assert render(served, row["messages"]) == render(tokenizer, row["messages"])


def test_an_adapter_that_joins_another_in_memory_gets_all_its_tensors(bases, tmp_path):
    base, prompt = bases("laguna"), torch.arange(1, 40)[None]
    settings = TrainSettings(
        method="lora", max_steps=2, batch_size=4, learning_rate=0.01, max_tokens=1024
    )
    train(make_rows(), base, settings, CPU, tmp_path / "work", tmp_path / "first")
    settings = settings.model_copy(update={"learning_rate": 0.05})
    train(make_rows(), base, settings, CPU, tmp_path / "work", tmp_path / "second")
    alone, _ = load_adapter(base, tmp_path / "second", CPU)
    swap = Swap(base, CPU, tmp_path / "first")
    swap.use(tmp_path / "second")
    with torch.inference_mode():
        torch.testing.assert_close(swap.model(prompt).logits, alone(prompt).logits)


def test_a_model_that_cannot_be_asked_is_refused_before_it_is_trained(tmp_path):
    from transformers import Mamba2Config, Mamba2ForCausalLM

    size = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 259, "n_groups": 1}
    config = Mamba2Config(**size, num_heads=4, head_dim=32, state_size=16)
    Mamba2ForCausalLM(config).save_pretrained(tmp_path / "mamba")
    base = add_tokenizer(tmp_path / "mamba")
    with pytest.raises(TrainingError, match=r"cannot be asked for answers here; choose another"):
        check_method(base, resolved(TrainSettings(method="lora")), tmp_path)


PACKED = ("mistral", "gemma2", "gemma3_text", "phi3", "gpt_neox", "mixtral", "deepseek_v3")
"""Families whose packed rows stay apart: windows, caps, fused layers, experts."""


@pytest.mark.parametrize("kind", PACKED)
def test_packed_rows_of_a_family_stay_apart_bit_for_bit(bases, tmp_path, kind):
    settings = TrainSettings(method="lora", packing=True, max_steps=1, batch_size=4)
    result = train(make_rows(), bases(kind), settings, CPU, tmp_path / "work", tmp_path / "out")
    (proof,) = (proof for proof in result.proofs if proof.name == "packed logits")
    assert "none changes with the tokens of another" in proof.text


@pytest.mark.parametrize("kind", ["gpt_oss", "falcon_h1", "lfm2", "bamba"])
def test_a_family_whose_packed_rows_would_see_each_other_is_not_packed(bases, tmp_path, kind):
    settings = TrainSettings(method="lora", packing=True, max_steps=1, batch_size=4)
    with pytest.raises(TrainingError, match=r"set train.packing = false|choose train.packing ="):
        train(make_rows(), bases(kind), settings, CPU, tmp_path / "work", tmp_path / "out")

"""Other architectures than Llama's: trained, saved, loaded and merged, or refused by name."""

import json
import shutil
from dataclasses import replace

import pytest

from pipeline.core.errors import TrainingError
from pipeline.evaluate.measures.parity import compare, predict
from pipeline.evaluate.scoring import continuation_log_probs, evaluating, prefill, text_log_probs
from pipeline.settings import EvaluateSettings, TrainSettings
from pipeline.text.chat_template import prompt_ids
from pipeline.train.export.merge import merge, to_float32
from pipeline.train.export.streaming import stream, stream_adapter
from pipeline.train.loop.trainer import train
from pipeline.train.methods import resolved
from pipeline.train.methods.lora import lora
from pipeline.train.methods.targets import find_targets
from pipeline.train.models.adapter import load_adapter, load_base
from pipeline.train.models.base_model import load_model, model_class
from pipeline.train.models.check import check_method
from tests.pipeline.evaluate.answering import answer
from tests.pipeline.train.architectures import (
    ARCHITECTURES,
    CPU,
    add_tokenizer,
    make_base,
    make_rows,
)

EXPERTS = ("gpt_oss", "qwen3_moe", "mixtral")


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Base models by architecture, each made once."""
    folder, made = tmp_path_factory.mktemp("bases"), {}

    def base(kind):
        if kind not in made:
            made[kind] = make_base(kind, folder)
        return made[kind]

    return base


def trained(base, folder, rows=None, **changes):
    settings = {"method": "lora", "max_steps": 2, "batch_size": 4, "evaluations": 1}
    shutil.rmtree(folder, ignore_errors=True)
    return train(
        make_rows() if rows is None else rows, base,
        TrainSettings(**settings | {"learning_rate": 0.01} | changes),
        CPU, folder / "work", folder / "adapter",
    )  # fmt: skip


def merges_to_the_same(base, folder):
    """Whether base and adapter say after the merge what they say apart."""
    model, tokenizer = load_adapter(base, folder / "adapter", CPU)
    prompts = [prompt_ids(tokenizer, row["messages"][:-1]) for row in make_rows(4).to_dicts()]
    said = predict(to_float32(model), prompts, {258}, 6)
    merge(base, folder / "adapter", CPU, folder / "merged", "float32")
    found = compare(said, load_model(folder / "merged", dtype="float32"))
    streamed = compare(said, stream_adapter(base, folder / "adapter", folder / "scratch"))
    same = streamed.max_logit_difference < 1e-5 and streamed.equal_prompts == 4
    return same and found.equal_prompts == 4 and found.max_logit_difference < 1e-5


def test_weights_that_layers_share_are_read_for_each_of_them(tmp_path):
    """Zamba2's transformer block: its weights are in the files of the first layer that has it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "zamba2", vocab_size=259, hidden_size=32, num_hidden_layers=4, intermediate_size=48,
        layers_block_type=["mamba", "hybrid"] * 2, num_mem_blocks=1, num_attention_heads=2,
        num_key_value_heads=2, attention_head_dim=32, mamba_d_state=8, n_mamba_heads=2,
        chunk_size=8, adapter_rank=4, use_mem_rope=False,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(tmp_path)
    streamed = stream(tmp_path, "float32", "float32")
    loaded = load_model(tmp_path, dtype=torch.float32)
    ids = torch.tensor([[1, 5, 9, 200, 33, 7]])
    with torch.no_grad():
        for _ in range(2):
            found = streamed(ids, use_cache=False).logits
            assert torch.allclose(found, loaded(ids, use_cache=False).logits, atol=1e-6)
    assert not any(any(part.stride()) for part in streamed.parameters() if part.numel() > 1)


def on_layers(result):
    (proof,) = (proof for proof in result.proofs if proof.name == "target layers")
    return proof.text.partition(": ")[2]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_lora_is_trained_stored_loaded_and_merged(bases, tmp_path, kind):
    result = trained(bases(kind), tmp_path)
    assert result.steps == 2
    assert merges_to_the_same(bases(kind), tmp_path)


@pytest.mark.parametrize("kind", ["gemma2", "gpt_oss", "bloom"])
def test_a_model_without_torchs_attention_is_loaded_with_its_own(bases, kind):
    assert load_base(bases(kind), CPU, False).config._attn_implementation == "eager"


@pytest.mark.parametrize("kind", ["gemma3", "mistral3", "qwen3_5"])
@pytest.mark.parametrize("method", ["lora", "full", "ia3"])
def test_of_a_model_with_eyes_the_language_model_is_trained(bases, tmp_path, kind, method):
    trained(bases(kind), tmp_path, method=method)
    model, _ = load_adapter(bases(kind), tmp_path / "adapter", CPU)
    base = dict(load_base(bases(kind), CPU, False).named_parameters())
    seen = {name for name in base if "vision" in name or "projector" in name}
    after = dict(model.named_parameters())
    prefix = "" if method == "full" else "base_model.model."
    assert all(after[prefix + name].equal(base[name]) for name in seen)
    assert not any("lora" in name or "ia3" in name for name in after if "vision" in name)
    assert merges_to_the_same(bases(kind), tmp_path)


@pytest.mark.parametrize(
    ("kind", "attention", "mlp"),
    [
        ("phi3", "2 o_proj, 2 qkv_proj", "2 down_proj, 2 gate_up_proj"),
        ("glm4", "2 k_proj, 2 o_proj, 2 q_proj, 2 v_proj", "2 down_proj, 2 gate_up_proj"),
        ("gpt2", "2 c_attn, 2 c_proj", "2 c_fc, 2 c_proj"),
        ("gpt_neox", "2 dense, 2 query_key_value", "2 dense_4h_to_h, 2 dense_h_to_4h"),
        ("falcon", "2 dense, 2 query_key_value", "2 dense_4h_to_h, 2 dense_h_to_4h"),
        ("opt", "2 k_proj, 2 out_proj, 2 q_proj, 2 v_proj", "2 fc1, 2 fc2"),
        ("mixtral", "2 k_proj, 2 o_proj, 2 q_proj, 2 v_proj", "2 down_proj, 2 gate_up_proj"),
        ("mistral3", "2 k_proj, 2 o_proj, 2 q_proj, 2 v_proj",
         "2 down_proj, 2 gate_proj, 2 up_proj"),
    ],
)  # fmt: skip
def test_targets_are_found_by_what_a_layer_does(bases, tmp_path, kind, attention, mlp):
    assert on_layers(trained(bases(kind), tmp_path, targets="attention")) == attention
    assert merges_to_the_same(bases(kind), tmp_path)
    assert on_layers(trained(bases(kind), tmp_path, targets="mlp")) == mlp
    assert merges_to_the_same(bases(kind), tmp_path)


@pytest.mark.parametrize("kind", ["phi3", "gpt2", "opt"])
@pytest.mark.parametrize("method", ["ia3", "pissa", "eva", "dora", "hybrid", "houlsby", "qlora"])
def test_other_methods_fit_fused_and_foreign_layers(bases, tmp_path, kind, method):
    result = trained(bases(kind), tmp_path, method=method)
    counted = {"hybrid": 6 if kind != "opt" else 10, "houlsby": 4}
    targets = find_targets(load_base(bases(kind), CPU, False))
    layers = len(targets.attention + targets.mlp)
    (proof,) = (proof for proof in result.proofs if proof.name == "target layers")
    assert proof.value == counted.get(method, layers)
    if method in ("hybrid", "houlsby"):
        load_adapter(bases(kind), tmp_path / "adapter", CPU)
    else:
        assert merges_to_the_same(bases(kind), tmp_path)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("mixtral", {"method": "dora"}, "method dora: MixtralForCausalLM has experts"),
        ("qwen3_moe", {"method": "pissa"}, "method pissa: .* has experts"),
        ("gpt_oss", {"method": "eva"}, "method eva: .* has experts"),
        ("mixtral", {"method": "lora", "dropout": 0.1}, "experts .* choose train.dropout = 0"),
        ("mixtral", {"method": "houlsby"}, "method houlsby: .* no linear layers"),
        ("qwen3_5", {"method": "lora", "packing": True}, "choose train.packing = false"),
        ("qwen3_5", {"method": "pissa"}, "in_proj_b.* choose train.rank = 2 or less"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_without_the_weights(
    bases, tmp_path, kind, changes, message
):
    with pytest.raises(TrainingError, match=message):
        check_method(bases(kind), resolved(TrainSettings(**changes)), tmp_path)
    with pytest.raises(TrainingError, match=message):
        trained(bases(kind), tmp_path, **changes)


@pytest.mark.parametrize("kind", ["bloom", "opt", "falcon"])
def test_a_leak_between_packed_rows_is_found_however_small(bases, tmp_path, kind):
    """BLOOM's attention lets a row change the logits behind it by 0.004 only."""
    with pytest.raises(TrainingError, match="packed logits: rows behind another change"):
        trained(bases(kind), tmp_path, packing=True)


@pytest.mark.parametrize("kind", ["qwen3_5", "falcon"])
def test_a_prefix_is_refused_where_layers_keep_other_keys(bases, tmp_path, kind):
    with pytest.raises(TrainingError, match=r"method prefix: .* keeps no keys and values"):
        trained(bases(kind), tmp_path, method="prefix")


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_method_that_fits_is_found_right_once(bases, tmp_path, kind):
    settings = resolved(TrainSettings(method="lora"))
    check_method(bases(kind), settings, tmp_path)
    gone = replace(bases(kind), path=tmp_path)
    shutil.copy(bases(kind).path / "config.json", tmp_path / "config.json")
    check_method(gone, settings, tmp_path)
    assert len(list((tmp_path / "checked").iterdir())) == 1


def test_continuations_of_a_hybrid_model_are_scored_as_whole_texts(bases):
    model = to_float32(load_base(bases("qwen3_5"), CPU, False))
    prompts = [[1, 2, 3, 4, 5], [6, 7, 8]]
    endings = [[[9, 10, 11], [12]], [[13, 14], [15, 16, 17]]]
    with evaluating(model):
        found = continuation_log_probs(model, prefill(model, prompts), endings)
        for prompt, tails, scores in zip(prompts, endings, found, strict=True):
            for tail, score in zip(tails, scores, strict=True):
                (alone,) = text_log_probs(model, [prompt + tail])
                assert score == pytest.approx(alone[-len(tail) :], abs=1e-5)


def test_a_model_with_eyes_is_exported_with_what_reads_images_for_it(bases, tmp_path):
    shutil.copytree(bases("gemma3").path, tmp_path / "base")
    (tmp_path / "base/preprocessor_config.json").write_text('{"size": 28}')
    base = replace(bases("gemma3"), path=tmp_path / "base")
    trained(base, tmp_path / "run")
    merge(base, tmp_path / "run/adapter", CPU, tmp_path / "merged")
    assert (tmp_path / "merged/preprocessor_config.json").read_text() == '{"size": 28}'
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert config["architectures"] == ["Gemma3ForConditionalGeneration"]


def test_experts_count_as_layers_and_the_router_stays(bases, tmp_path):
    result = trained(bases("qwen3_moe"), tmp_path)
    assert on_layers(result) == (
        "2 down_proj, 2 gate_up_proj, 2 k_proj, 2 o_proj, 2 q_proj, 2 v_proj"
    )
    facts = merge(bases("qwen3_moe"), tmp_path / "adapter", CPU, tmp_path / "merged")
    assert facts["layers"] == facts["changed"] == 12


@pytest.mark.parametrize("bits", [4, 8])
def test_a_base_stored_in_bits_exports_or_is_refused_before_training(bases, tmp_path, bits):
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    source, folder = bases("llama").path, tmp_path / "stored"
    config = (
        BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        if bits == 4
        else BitsAndBytesConfig(load_in_8bit=True)
    )
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=config)
    model.save_pretrained(folder)
    base = add_tokenizer(folder)
    if bits == 8:
        with pytest.raises(TrainingError, match="8 bits of bitsandbytes"):
            check_method(base, resolved(TrainSettings(method="qlora")), tmp_path)
        return
    with pytest.raises(TrainingError, match=r'in 4 bits; .* set train.method = "qlora"'):
        check_method(base, resolved(TrainSettings(method="lora")), tmp_path)
    check_method(base, resolved(TrainSettings(method="qlora")), tmp_path)
    trained(base, tmp_path / "run", method="qlora")
    assert merges_to_the_same(base, tmp_path / "run")
    config = json.loads((tmp_path / "run/merged/config.json").read_text())
    assert "quantization_config" not in config
    plain, _ = load_adapter(base, None, CPU)  # the base alone, as the evaluation asks it
    assert "4bit" not in type(plain.model.layers[0].mlp.up_proj).__name__


def test_weights_quantized_by_another_library_are_refused(bases, tmp_path):
    shutil.copytree(bases("llama").path, tmp_path / "gptq")
    config = json.loads((tmp_path / "gptq/config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "gptq/config.json").write_text(json.dumps(config))
    base = replace(bases("llama"), path=tmp_path / "gptq")
    with pytest.raises(TrainingError, match=r"quantized \(gptq\)"):
        check_method(base, resolved(TrainSettings()), tmp_path)


def test_rows_beyond_the_context_or_the_vocabulary_are_refused_by_name(tmp_path):
    base = make_base("opt", tmp_path / "short", max_position_embeddings=96)
    rows = make_rows(question="How often is filter {} rinsed? " + "It is dusty. " * 20)
    with pytest.raises(
        TrainingError, match=r"row 0{16} has \d+ tokens, .* is 96 .*max_tokens = 96"
    ):
        trained(base, tmp_path / "run", rows)
    base = make_base("llama", tmp_path / "few", vocab_size=257)  # one less than <|im_end|>
    with pytest.raises(TrainingError, match=r"row 0{16} has token 258, .* knows 257"):
        trained(base, tmp_path / "run")


def test_prompt_and_answer_stay_within_a_short_context(tmp_path):
    base = make_base("opt", tmp_path, max_position_embeddings=96)
    rows = make_rows(question="How often is filter {} rinsed? " + "It is dusty. " * 20)
    settings = EvaluateSettings(max_new_tokens=24, batch_size=4)
    found = answer("base", rows, *load_adapter(base, None, CPU), settings)
    assert found.height == rows.height
    assert (found["prompt_tokens"] + found["response_tokens"]).max() <= 96 - 24


def test_a_wider_model_is_trained_at_a_lower_rate(tmp_path):
    base = make_base("llama", tmp_path, hidden_size=640, num_hidden_layers=1)
    result = trained(base, tmp_path / "run", learning_rate=None, warmup_share=0, max_steps=1)
    assert result.learning_rate == [(1, 9.17e-4)]


@pytest.mark.parametrize("kind", ["encoder", "unknown"])
def test_a_model_that_writes_no_text_or_is_not_known_is_refused(tmp_path, kind):
    config = {"encoder": {"model_type": "wav2vec2"}, "unknown": {"model_type": "llama99"}}[kind]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrainingError, match=r"wav2vec2.*writes no text|llama99"):
        model_class(tmp_path)


def test_attention_of_an_expert_model_is_its_linear_layers(bases):
    settings = resolved(TrainSettings(method="dora", targets="attention"))
    check_method(bases("mixtral"), settings, bases("mixtral").path.parent / "models")
    adapted = lora(load_base(bases("mixtral"), CPU, False), settings)
    assert not any("experts" in name for name, _ in adapted.named_parameters() if "lora" in name)

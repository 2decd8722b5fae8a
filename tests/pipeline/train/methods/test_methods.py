"""What is particular to a method: what it trains, where it starts, and what it refuses."""

import pytest

from pipeline.core.errors import TrainingError
from pipeline.settings import TrainSettings
from pipeline.train.batch.loss import supervised_loss
from pipeline.train.methods import METHODS, parameter_groups, resolved
from pipeline.train.methods.lora import EVA_TOKENS, lora_layers, quiet_peft
from pipeline.train.methods.whole import plain_weights
from pipeline.train.models.adapter import attach_adapter, load_adapter, trainable
from pipeline.train.models.base_model import load_model, load_tokenizer
from pipeline.train.models.quantized import load_quantized
from pipeline.train.proofs.model import prove_model
from tests.pipeline.train.methods.runs import CPU, run_settings, train_once

TEXT = "Drip irrigation brings water to the roots of each plant through narrow tubes."

PLAIN = [name for name in METHODS if not METHODS[name].quantized]
READ_ROWS = ("eva", "prefix", "prompt", "p_tuning")  # start from train rows


@pytest.fixture
def tokens(tiny_base):
    return load_tokenizer(tiny_base.path)(TEXT)["input_ids"] * 3


@pytest.fixture
def float32(tiny_base):
    """A function that loads the base in float32."""
    import torch

    return lambda: load_model(tiny_base.path, dtype=torch.float32)


def attach(model, method, tokens, **changes):
    import torch

    torch.manual_seed(3)
    settings = TrainSettings(method=method, **changes)
    return attach_adapter(model, METHODS[method], settings, [tokens])


def logits(model, tokens):
    import torch

    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([tokens])).logits


@pytest.mark.parametrize(
    "method", [name for name in PLAIN if name not in READ_ROWS or name == "eva"]
)
def test_it_starts_as_the_base_model(float32, tokens, method):
    import torch

    expected = logits(float32(), tokens)
    torch.testing.assert_close(
        logits(attach(float32(), method, tokens), tokens), expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("method", [name for name in PLAIN if METHODS[name].checkpoints])
def test_gradient_checkpointing_changes_no_gradient(float32, tokens, method):
    import torch

    def gradients(**changes):
        model = attach(float32(), method, tokens, **changes)
        batch = torch.tensor([tokens]), torch.tensor([tokens])
        supervised_loss(model, *batch)(*batch).backward()
        return {name: part.grad for name, part in trainable(model).items()}

    plain, checkpointed = gradients(), gradients(gradient_checkpointing=True)
    assert any(part is not None and part.norm() > 0 for part in plain.values())
    torch.testing.assert_close(checkpointed, plain, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_base_in_another_precision_is_refused(tiny_base, float32, tokens, method):
    if METHODS[method].quantized:
        with pytest.raises(TrainingError, match="base model is in plain weights; expected it in 4"):
            attach(float32(), method, tokens)
    else:
        with pytest.raises(TrainingError, match=f"method {method}: the base model is in 4 bits"):
            attach(load_quantized(tiny_base.path), method, tokens)


@pytest.mark.parametrize("method", list(METHODS))
def test_an_adapter_that_changes_nothing_is_caught_by_name(tiny_base, float32, tokens, method):
    base = load_quantized(tiny_base.path) if METHODS[method].quantized else float32()
    model = attach(base, method, tokens)
    rows = [{"input_ids": tokens[:30], "labels": tokens[:30]}] * 2
    proofs = prove_model(model, rows, packing=True, rate=1e-2)
    assert {proof.name for proof in proofs} == {"packed logits", "gradients", "adapter"}
    with pytest.raises(TrainingError, match="the adapter changes nothing"):
        prove_model(model, rows, packing=False, rate=0.0)


@pytest.mark.parametrize("method", READ_ROWS)
def test_too_few_tokens_to_start_from_are_refused(float32, method):
    with pytest.raises(TrainingError, match=f"method {method}: 3 tokens of train rows found"):
        attach(float32(), method, [5, 6, 7])


def test_each_trains_what_it_names(float32, tokens):
    kinds = {name: set(trainable(attach(float32(), name, tokens))) for name in PLAIN}
    sizes = {name: len(found) for name, found in kinds.items()}
    layers, linear = 2, 7
    assert sizes["lora"] == sizes["rslora"] == sizes["eva"] == sizes["pissa"] == 2 * layers * linear
    assert sizes["dora"] == 3 * layers * linear
    assert sizes["ia3"] == layers * linear
    assert sizes["full"] == layers * (linear + 2) + 2, "the tied embedding counts once"
    assert sizes["selective"] == layers * 2 + 1
    assert all("norm" in name for name in kinds["selective"])
    assert sizes["houlsby"] == 2 * sizes["pfeiffer"] == 2 * layers * 4
    assert {name.split(".")[-3] for name in kinds["houlsby"]} == {"o_proj", "down_proj"}
    assert {name.split(".")[-3] for name in kinds["pfeiffer"]} == {"down_proj"}
    assert sizes["hybrid"] == 2 * layers * 4 + layers * 4
    assert all("lora" not in name for name in kinds["hybrid"] if "mlp" in name)
    assert sizes["prefix"] == sizes["prompt"] == 1
    assert sizes["p_tuning"] == 5


def test_lora_plus_trains_b_sixteen_times_faster_than_a(float32, tokens):
    model = attach(float32(), "lora_plus", tokens)
    settings = resolved(TrainSettings(method="lora_plus"))
    slow, fast = parameter_groups(model, settings)
    assert fast["lr"] == 16 * slow["lr"] == 16 * settings.learning_rate
    named = {id(part): name for name, part in trainable(model).items()}
    assert all("lora_B" in named.pop(id(part)) for part in fast["params"])
    assert all("lora_A" in named.pop(id(part)) for part in slow["params"])
    assert not named
    (group,) = parameter_groups(attach(float32(), "lora", tokens), resolved(TrainSettings()))
    assert group["lr"] == METHODS["qlora"].preset.learning_rate


def test_pissa_trains_as_pefts_does_and_leaves_the_base_alone(float32, tokens):
    """PEFT takes the first product out of the base's weights; the function is the same."""
    import torch
    from peft import LoraConfig, get_peft_model

    # Half the rank of the smallest layer: the oversampled decomposition is exact.
    settings = {"rank": 16, "alpha": 16}
    ours = attach(float32(), "pissa", tokens, **settings)
    config = LoraConfig(
        r=16, lora_alpha=16, init_lora_weights="pissa", target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    with quiet_peft():
        theirs = get_peft_model(float32(), config)
    base = logits(float32(), tokens)
    for model in (ours, theirs):
        torch.testing.assert_close(logits(model, tokens), base, atol=1e-4, rtol=1e-4)
        ids = torch.tensor([tokens])
        model(input_ids=ids, labels=ids).loss.backward()
        torch.optim.SGD(trainable(model).values(), lr=3.0).step()
    change = logits(ours, tokens) - base
    assert change.norm() > 0.01 * base.norm()
    torch.testing.assert_close(logits(theirs, tokens) - base, change, atol=2e-3, rtol=0.0)
    before = logits(ours, tokens)
    plain_weights(ours)
    assert torch.equal(logits(ours, tokens), before), "what is stored is what was trained"
    layer = lora_layers(ours)[0]
    assert torch.equal(
        layer.get_base_layer().weight,
        float32().get_submodule("model.layers.0.self_attn.q_proj").weight,
    )
    assert layer.lora_A["default"].weight.shape[0] == 32


def test_eva_starts_at_the_principal_directions_of_the_input(float32, tokens):
    import torch

    base = float32()
    model = attach(float32(), "eva", tokens, rank=4)
    layers = lora_layers(model)
    states = base.model.layers[0].input_layernorm(base.model.embed_tokens(torch.tensor(tokens)))
    best = torch.linalg.svdvals(states)[:4].square().sum()
    query, key, value = (layers[number].lora_A["default"].weight for number in range(3))
    torch.testing.assert_close(query @ query.T, torch.eye(4), atol=1e-5, rtol=0.0)
    assert (states @ query.T).square().sum() > 0.999 * best
    assert torch.equal(query, key)
    assert torch.equal(query, value)
    assert len({tuple(layer.lora_A["default"].weight[0].tolist()) for layer in layers}) == 8
    many = attach_adapter(
        float32(), METHODS["eva"], TrainSettings(method="eva", rank=4), [tokens] * EVA_TOKENS
    )
    assert len(lora_layers(many)) == 14, "rows beyond a limit are not looked at"


def test_small_updates_of_a_bfloat16_base_add_up_and_ties_hold(tiny_base):
    import torch

    model = load_model(tiny_base.path, dtype=torch.bfloat16)
    model = attach_adapter(model, METHODS["full"], TrainSettings(method="full"))
    assert {part.dtype for part in trainable(model).values()} == {torch.float32}
    norm, exact = model.model.norm, trainable(model)["model.norm.parametrizations.weight.original"]
    before = norm.weight.clone()
    assert before.dtype == torch.bfloat16
    with torch.no_grad():
        exact.add_(1e-3)
        assert torch.equal(norm.weight, before), "one step is below what bfloat16 resolves"
        for _ in range(9):
            exact.add_(1e-3)
        assert bool((norm.weight > before).all())
        trainable(model)["model.embed_tokens.parametrizations.weight.original"].add_(1.0)
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
    seen = {name: part.clone() for name, part in norm.named_parameters()}
    assert seen
    expected = norm.weight.clone()
    plain_weights(model)
    assert torch.equal(model.model.norm.weight, expected)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert {part.dtype for part in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("method", ["prefix", "prompt", "p_tuning"])
def test_peft_itself_loads_our_prompts_with_the_same_logits(tiny_base, method, tmp_path):
    import torch
    from peft import PeftModel

    train_once(method, tiny_base, tmp_path)
    ours, tokenizer = load_adapter(tiny_base, tmp_path / "output", CPU)
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    with quiet_peft():
        theirs = PeftModel.from_pretrained(load_model(tiny_base.path), tmp_path / "output").eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        found = ours(input_ids=ids).logits
    torch.testing.assert_close(found, expected[:, -ids.shape[1] :], atol=0.05, rtol=0.02)


def test_a_pissa_adapter_says_that_it_is_plain_lora_of_twice_the_rank(tiny_base, tmp_path):
    import json

    train_once("pissa", tiny_base, tmp_path)
    config = json.loads((tmp_path / "output" / "adapter_config.json").read_text("utf-8"))
    settings = resolved(run_settings("pissa"))
    assert config["init_lora_weights"] is True
    assert config["r"] == 2 * settings.rank
    assert config["lora_alpha"] / config["r"] == settings.alpha / settings.rank

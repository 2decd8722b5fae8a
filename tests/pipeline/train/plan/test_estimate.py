"""What fits, how long it takes, and what a plan warns of."""

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from pipeline.core.errors import SettingsError
from pipeline.settings import EvaluateSettings, TrainSettings
from pipeline.train.launch import launch_config
from pipeline.train.plan.activations import Batch, full_batch, largest_batch
from pipeline.train.plan.catalogue import CATALOGUE
from pipeline.train.plan.estimate import Work, flops_per_token, plan, settings_for
from pipeline.train.plan.hardware import card, gpu, this_machine, training_machine
from pipeline.train.plan.memory import total
from pipeline.train.plan.shapes import read_shape

SEVEN = read_shape(CATALOGUE["7b"].config, "7b")
SMALL = read_shape(CATALOGUE["135m"].config, "135m")
WORK = Work(rows=1000, row_tokens=256, supervised_share=0.5)


def of(method, shape=SEVEN, gpu="a100-80", work=WORK, **settings):
    train = settings_for(method, TrainSettings(method=method, **settings), shape.hidden)
    batch = full_batch(train, device="cuda")
    return plan(shape, train, batch, card(gpu), work, EvaluateSettings())


def test_7b_in_full_needs_more_than_one_card_and_qlora_a_small_one():
    assert not of("full").fits
    assert of("full").micro_batch_size == 0
    assert of("lora").fits
    small = of("qlora", gpu="t4", micro_batch_size=1)
    assert small.fits
    assert not of("lora", gpu="t4", micro_batch_size=1).fits


def test_a_pass_is_halved_until_it_fits_as_the_training_does():
    found = of("qlora", gpu="t4")
    assert (found.asked, found.micro_batch_size) == (16, 2)
    assert found.fits
    assert total(found.items) < card("t4").usable
    large = of("qlora", gpu="h200")
    assert (large.asked, large.micro_batch_size) == (16, 16), "8,192 tokens"
    set_by_hand = of("qlora", gpu="h200", micro_batch_size=2)
    assert (set_by_hand.asked, set_by_hand.micro_batch_size) == (2, 2)
    assert total(set_by_hand.items) < total(large.items)


def test_four_bits_are_unpacked_once_where_that_leaves_half_of_a_card_free():
    def weights(gpu, **settings):
        return {item.name: item.bytes for item in of("qlora", gpu=gpu, **settings).items}

    assert "quantized weights" not in weights("a100-80")
    assert "quantized weights" in weights("t4")
    assert "quantized weights" in weights("a100-80", dequantize="each_time")
    unpacked, packed = of("qlora"), of("qlora", dequantize="each_time")
    assert unpacked.seconds < packed.seconds


def test_full_takes_six_operations_a_parameter_and_lora_four():
    batch = Batch(1, 1, 1)
    numbers = {
        method: flops_per_token(SEVEN, settings_for(method, TrainSettings(), SEVEN.hidden), batch)
        / (SEVEN.linear_parameters + SEVEN.vocabulary * SEVEN.hidden)
        for method in ("full", "prompt")
    }
    assert numbers["full"] == pytest.approx(6, rel=0.01)
    assert numbers["prompt"] == pytest.approx(4, rel=0.01)


def test_checkpointing_takes_time_and_saves_memory():
    plain, saving = of("lora"), of("lora", gradient_checkpointing=True)
    assert saving.seconds > 1.2 * plain.seconds
    assert total(saving.items) < total(plain.items)
    assert saving.judging == plain.judging


def test_a_rank_too_small_for_the_tokens_is_warned_of():
    few, many = Work(1000, 256, 0.5), Work(1_000_000, 256, 0.5)
    assert of("lora", rank=1, work=few).warnings == ()
    (text,) = of("lora", rank=1, work=many).warnings
    assert "too small; raise the rank" in text


def test_an_adapter_that_is_no_small_part_is_warned_of():
    (text,) = of("lora", SMALL, rank=64).warnings
    assert "14.5% of the parameters are trained, above 5%" in text


def test_the_largest_pass_counts_its_padding():
    lengths, supervised = [10, 50, 40, 41], [1, 2, 3, 4]
    assert largest_batch([[0, 1], [2, 3]], lengths, supervised) == Batch(2, 50, 3)


def test_this_machine_has_its_own_memory_and_a_measured_rate():
    assumed, measured = this_machine(), this_machine(measure=True)
    assert assumed.memory == measured.memory > 2**30
    assert "assumed" in assumed.about
    assert "measured" in measured.about
    assert measured.flops > 1e9


def test_a_gpu_of_this_machine_has_its_own_memory_and_the_rate_of_its_kind():
    found = gpu("NVIDIA A100-SXM4-80GB", 85_097_971_712, bfloat16=True)
    assert (found.kind, found.value, found.flops) == ("gpu", 2, card("a100-80").flops)
    assert found.usable == int(85_097_971_712 * 0.95)
    assert gpu("NVIDIA L40S", 48 * 2**30, bfloat16=True).flops == card("l40s").flops
    assert gpu("Tesla T4", 16 * 2**30, bfloat16=False).value == card("t4").value == 4
    other = gpu("NVIDIA GeForce RTX 2080 Ti", 11 * 2**30, bfloat16=False)
    assert other.flops == card("t4").flops, "the nearest in memory"


def test_a_training_on_the_cpu_is_planned_for_the_cpu():
    assert training_machine("cpu") == this_machine()


def test_this_machine_computes_in_the_type_that_the_trainer_takes():
    from pipeline.train.models.device import compute_dtype

    assert this_machine().value == compute_dtype("cpu").itemsize


def test_an_unknown_card_is_refused():
    with pytest.raises(SettingsError, match="'voodoo2' is not known; expected one of t4"):
        card("voodoo2")


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
@pytest.mark.parametrize("place", ["gpu", "cpu"])
def test_accelerate_reads_the_configuration_it_is_given(kind, place, tmp_path):
    file = tmp_path / "accelerate.yaml"
    file.write_text(launch_config(kind, 2, place == "cpu", SEVEN.block), "utf-8")
    found = load_config_from_file(str(file))
    assert found.num_processes == 2
    assert found.use_cpu == (place == "cpu")
    assert found.distributed_type.value == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[kind]
    if kind == "fsdp":
        assert found.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] == "LlamaDecoderLayer"

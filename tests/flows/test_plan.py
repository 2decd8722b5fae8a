"""`tuneloop plan` answers from configs alone."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from flows.cli.main import main


def run(*arguments):
    return CliRunner().invoke(main, ["plan", *arguments])


def test_it_plans_every_method_on_every_card_as_one_json_object():
    found = json.loads(run("--json", "--base", "8b", "--gpu", "h100", "--gpu", "t4").stdout)
    assert found["base"]["parameters"] == 8_030_261_248
    assert {each["hardware"] for each in found["plans"]} == {"this machine", "h100", "t4"}
    assert len(found["plans"]) == 3 * 16
    for each in found["plans"]:
        stages = [sum(item["bytes"] for item in each[stage]) for stage in ("items", "judging")]
        assert each["peak"] == max(stages)


def test_it_shows_the_convention_beside_the_estimate():
    shown = run("--base", "7b", "--convention", "document").stdout
    for line in ("12 B x 7B parameters", "84", "16", "litgpt measured"):
        assert line in shown


def test_settings_change_the_plan():
    for stage, setting in (("items", "train.max_tokens"), ("judging", "evaluate.max_tokens")):
        sums = []
        for tokens in (256, 2048):
            shown = run("--json", "--method", "lora", "--set", f"{setting}={tokens}").stdout
            sums.append(sum(item["bytes"] for item in json.loads(shown)["plans"][0][stage]))
        assert sums[0] < sums[1]


def test_it_writes_what_accelerate_launch_takes(tmp_path):
    file = tmp_path / "two.yaml"
    shown = run("--launch", "fsdp", "--processes", "2", "--output", str(file), "--method", "lora")
    assert file.is_file()
    text = shown.stdout.replace("\n", "")
    assert f"tuneloop run --set train.processes=2 --set train.launch_config={file}" in text
    assert "each process holds its share of the frozen base" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpu", "voodoo2"], "graphics card 'voodoo2' is not known"),
        (["--method", "magic"], "method magic is not known"),
        (["--base", "/nowhere"], "no config.json can be read"),
        (["--method", "full", "--set", "train.method=full", "--set", "train.rank=4"], "train.rank"),
    ],
)
def test_what_is_not_known_is_said_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_it_needs_no_torch():
    code = (
        "import sys; from click.testing import CliRunner; from flows.cli.main import main; "
        "CliRunner().invoke(main, ['plan', '--base', '70b', '--json'], catch_exceptions=False); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

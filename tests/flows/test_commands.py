"""Errors at the border of the program."""

import json
from math import inf

import pytest
import torch

from flows.cli.commands import Options, _exit_codes
from pipeline.evaluate.results import Interval


def test_no_memory_left_is_one_line_with_the_settings_and_no_bug(capsys):
    with pytest.raises(SystemExit) as stopped, _exit_codes(debug=False):
        torch.empty(2**46)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tuneloop: memory: there is none left (")
    for name in ("generate.batch_size", "train.micro_batch_tokens", "evaluate.batch_size"):
        assert name in line


def test_an_open_end_is_null_in_what_json_prints(capsys):
    shown = Options(config=None, overrides=(), json=True, debug=False)
    shown.show({"difference": Interval(0.5, -inf, inf)})
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert said == {"difference": {"value": 0.5, "low": None, "high": None}}

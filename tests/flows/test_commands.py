"""Errors at the border of the program."""

import pytest
import torch

from flows.cli.commands import _exit_codes


def test_no_memory_left_is_one_line_with_the_settings_and_no_bug(capsys):
    with pytest.raises(SystemExit) as stopped, _exit_codes(debug=False):
        torch.empty(2**46)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tuneloop: memory: there is none left (")
    for name in ("generate.batch_size", "train.micro_batch_tokens", "evaluate.batch_size"):
        assert name in line

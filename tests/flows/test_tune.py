"""The winner of `tuneloop tune` goes into the settings file and into the report."""

import tomllib

import pytest

from flows.engine.project import commented_settings, set_in_file
from flows.engine.settings_file import load_settings
from pipeline.core.errors import SettingsError
from pipeline.report.compared import summary, toml_lines
from pipeline.report.contents import Report, Run
from pipeline.report.html import render
from pipeline.train.tune.choice import Choice, Trial

WINNER = {"method": "lora", "rank": 8, "targets": "mlp", "learning_rate": 0.0014}


def trial(number, **given):
    facts = {
        "number": number, "settings": WINNER, "state": "complete", "steps": 36, "loss": 1.5,
        "forgetting": 0.02, "bytes": 10**9, "seconds": 60.0, "about": "",
    }  # fmt: skip
    return Trial(**facts | given)


TUNING = Choice(
    start="lora at rate 0.001, rank 8",
    trials=(
        trial(0, loss=1.4, forgetting=0.4),
        trial(1),
        trial(2, state="stopped", steps=4, forgetting=None, about="stopped at step 4"),
    ),
    front=(0, 1),
    winner=1,
    max_forgetting=0.2,
    settings=WINNER,
)


def test_applying_keeps_comments_and_all_other_settings(tmp_path):
    file = tmp_path / "tuneloop.toml"
    file.write_text(commented_settings(), "utf-8")
    before = file.read_text("utf-8")
    set_in_file(file, "train", WINNER)
    assert tomllib.loads(file.read_text("utf-8"))["train"] == WINNER
    assert load_settings(file).train.targets == "mlp"
    comments = [line for line in before.splitlines() if line.startswith("# ") and "=" not in line]
    after = file.read_text("utf-8").splitlines()
    assert all(line in after for line in comments)


def test_applying_comments_out_what_the_new_method_would_refuse(tmp_path):
    file = tmp_path / "tuneloop.toml"
    file.write_text('[model]\nthreads = 1\n\n[train]\nmethod = "lora"\nrank = 64\nepochs = 3\n')
    set_in_file(file, "train", {"method": "houlsby", "learning_rate": 0.002})
    found = tomllib.loads(file.read_text("utf-8"))
    assert found["train"] == {"method": "houlsby", "learning_rate": 0.002, "epochs": 3}
    assert found["model"] == {"threads": 1}
    load_settings(file)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            "[train]  # ours\nrank = 64  # big\nepochs = 3\n\n# How long?\n[tune]\ntrials = 3\n",
            '[train]  # ours\nrank = 8  # big\nepochs = 3\nmethod = "lora"\ntargets = "mlp"\n'
            "learning_rate = 0.0014\n\n# How long?\n[tune]\ntrials = 3\n",
        ),
        (
            "[ train ]\nrank=64\n",
            '[ train ]\nrank=8\nmethod = "lora"\ntargets = "mlp"\nlearning_rate = 0.0014\n',
        ),
        (
            '[train]\n"rank" = 64\n',
            '[train]\n"rank" = 8\nmethod = "lora"\ntargets = "mlp"\nlearning_rate = 0.0014\n',
        ),
        (
            'train.method = "qlora"\ntrain.rank = 64  # big\n\n# How long?\n[tune]\ntrials = 3\n',
            'train.method = "lora"\ntrain.targets = "mlp"\ntrain.learning_rate = 0.0014\n'
            "train.rank = 8  # big\n\n# How long?\n[tune]\ntrials = 3\n",
        ),
        (
            "[train]\n# rank = the number of columns\nepochs = 3\n",
            '[train]\n# rank = the number of columns\nepochs = 3\nmethod = "lora"\nrank = 8\n'
            'targets = "mlp"\nlearning_rate = 0.0014\n',
        ),
    ],
)  # fmt: skip
def test_applying_reads_toml_as_people_write_it(tmp_path, text, after):
    file = tmp_path / "tuneloop.toml"
    file.write_text(text, "utf-8")
    set_in_file(file, "train", WINNER)
    assert file.read_text("utf-8") == after
    assert tomllib.loads(after)["train"] == tomllib.loads(text)["train"] | WINNER
    load_settings(file)


def test_what_is_commented_out_keeps_its_own_comment(tmp_path):
    file = tmp_path / "tuneloop.toml"
    file.write_text('[train]\ntargets = [\n  "q_proj",  # first\n]\nrank = 64  # big\n', "utf-8")
    set_in_file(file, "train", {"method": "houlsby"})
    assert file.read_text("utf-8") == (
        '[train]\n# targets = [ "q_proj", ]\n# rank = 64  # big\nmethod = "houlsby"\n'
    )


def test_applying_adds_a_section_that_is_not_there(tmp_path):
    file = tmp_path / "tuneloop.toml"
    file.write_text("[model]\nthreads = 1\n", "utf-8")
    set_in_file(file, "train", WINNER)
    assert tomllib.loads(file.read_text("utf-8")) == {"model": {"threads": 1}, "train": WINNER}


def test_the_summary_names_the_winner_and_why_others_lost():
    text = summary(TUNING)
    assert text.splitlines()[-1] == "winner: trial 1, lora r 8 mlp 0.0014"
    assert "forgets too much" in text
    assert "stopped at step 4" in text
    assert tomllib.loads("\n".join(toml_lines(TUNING))) == {"train": WINNER}


def test_the_report_shows_trials_front_and_the_lines_to_paste():
    run = Run(id="x", flow="tune", started_at="2026-01-01T00:00:00Z", seconds=1, command="", exit=0)
    page = render(Report(run=run, tuning=TUNING))
    for words in ("Automatic choice", "Trial 1 wins", "Pareto front", "targets = &#34;mlp&#34;"):
        assert words in page
    assert "Automatic choice" not in render(Report(run=run))


def test_a_method_that_there_is_not_is_refused():
    with pytest.raises(SettingsError, match=r"tune\.methods\.1: 'magic' found"):
        load_settings(None, ['tune.methods=["lora", "magic"]'])

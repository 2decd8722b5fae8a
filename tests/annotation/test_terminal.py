import io
import os
import pty
import subprocess
import sys
import time

import polars as pl
import pytest
from rich.console import Console

from annotation.decisions import Decision
from annotation.items import evidence_span, to_items
from annotation.terminal import review_in_terminal, show
from tests.annotation.conftest import make_pairs


def sit(queue, keys, reviewer="Ann"):
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(keys))
        session = review_in_terminal(queue, reviewer, Console(file=out, width=100))
    return session, out.getvalue()


def decided(queue):
    return {
        row["pair_id"]: (row["verdict"], row["edited_response"], row["flags"], row["note"])
        for row in queue.pull().reviews.iter_rows(named=True)
    }


def test_every_verdict_can_be_given_line_by_line(queue, ids):
    session, shown = sit(queue, "a\ne\n\nSix bar.\nr\n2, 6\ntoo much\ns\nq\n")
    assert decided(queue) == {
        ids[0]: ("accept", None, [], ""),
        ids[1]: ("edit", "Six bar.", [], ""),
        ids[2]: ("reject", None, ["wrong", "unsafe"], "too much"),
        ids[3]: ("skip", None, [], ""),
    }
    assert session["verdicts"] == {"accept": 1, "edit": 1, "reject": 1, "skip": 1}
    assert session["left"] == 2
    assert "How much pressure, case 0?" in shown and "secret-teacher" not in shown


def test_an_answer_of_several_lines_is_edited_as_lines_and_lines_alone_are_an_edit(queue, chunks):
    pair = make_pairs(1, start=90).with_columns(response=pl.lit("Steps:\n1. Open it. 2. Wait."))
    queue.push(to_items(pair, chunks))
    (key,) = pair["pair_id"]
    steps = "Steps:\n\n1. Open it.\n   - slowly\n2. Wait."
    _, shown = sit(queue, "s\n" * 6 + f"e\n\n{steps}\n.\n")
    assert "Steps:\n1. Open it. 2. Wait." in shown
    assert decided(queue)[key] == ("edit", steps, [], "")
    item = {"response": "Steps: 1. Open it. 2. Wait."}
    lines = Decision(key, "edit", "Steps:\n1. Open it.\n2. Wait.", (), "", "Ann")
    assert lines.bounce_reason(item) is None


def test_the_question_can_be_edited_and_the_time_is_taken(queue, ids):
    sit(queue, "e\nHow many bar?\n\n")
    row = queue.pull().reviews.row(0, named=True)
    assert (row["pair_id"], row["verdict"]) == (ids[0], "edit")
    assert (row["edited_instruction"], row["edited_response"]) == ("How many bar?", None)
    assert row["seconds"] >= 0


def test_an_unfinished_edit_or_reject_leads_back_to_the_question(queue, ids):
    sit(queue, "e\n\n\nr\n\nr\n99\n1\n\nq\n")
    assert decided(queue) == {ids[0]: ("reject", None, ["not_grounded"], "")}


def test_the_end_of_input_keeps_what_was_decided(queue, ids):
    session, _ = sit(queue, "a\na\n")
    assert set(decided(queue)) == set(ids[:2]) and session["left"] == 4


def test_decided_and_skipped_pairs_are_not_shown_again(queue, ids):
    sit(queue, "a\ns\nq\n")
    _, shown = sit(queue, "q\n")
    assert "case 2?" in shown and "1 of 4" in shown
    _, shown = sit(queue, "q\n", reviewer="Bo")  # a skip of Ann leaves it open to Bo
    assert "case 1?" in shown and "1 of 5" in shown


def test_the_evidence_is_highlighted_across_line_breaks():
    item = dict.fromkeys(("hint", "document", "instruction", "input", "response"), "")
    item |= {"chunk_text": "Note. The pump holds\n6 bar (max). End."}
    item |= {"evidence": "The pump holds 6 bar (max)."}
    out = io.StringIO()
    show(item, Console(file=out, width=80, force_terminal=True, color_system="standard"))
    assert "\x1b[1;30;43mThe pump holds\x1b[0m" in out.getvalue()
    assert "\x1b[1;30;43m6 bar (max).\x1b[0m End." in out.getvalue()
    assert evidence_span("abc", "") == evidence_span("abc", "xyz") == (0, 0)


def test_text_of_a_document_can_neither_style_nor_steer_the_terminal():
    item = dict.fromkeys(
        ("hint", "document", "instruction", "input", "chunk_text", "response", "evidence"), ""
    )
    item |= {
        "instruction": "[red]a[/red] [/nonsense] \x1b[2J\x1b]0;t\x07",
        "chunk_text": "b\x9b31m\u202e",
    }
    out = io.StringIO()
    show(item, Console(file=out, width=80, force_terminal=True))
    assert "[red]a[/red] [/nonsense]" in out.getvalue()
    assert (
        "\x1b[2J" not in out.getvalue()
        and "\x07" not in out.getvalue()
        and "\x9b" not in out.getvalue()
    )
    assert "\u202e" not in out.getvalue()


SITTING = """
import sys
from pathlib import Path
from rich.console import Console
from annotation.queue_files import FileQueue
from annotation.terminal import review_in_terminal
review_in_terminal(FileQueue(Path(sys.argv[1])), "Ann", Console())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="pseudo-terminals are POSIX")
def test_on_a_terminal_one_key_is_enough_and_interrupting_loses_nothing(queue, ids, pytestconfig):
    leader, follower = pty.openpty()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("VISUAL", "EDITOR")
    }
    with subprocess.Popen(
        [sys.executable, "-c", SITTING, str(queue.folder)],
        cwd=pytestconfig.rootpath,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env=environment | {"TERM": "xterm"},
    ) as process:
        os.close(follower)
        shown = b""
        for keys in (b"a", b"r", b"4\n", b"short\n", b"\x03"):
            shown += wait_for_question(leader)
            os.write(leader, keys)
        assert process.wait(20) == 0, shown
    os.close(leader)
    assert decided(queue) == {
        ids[0]: ("accept", None, [], ""),
        ids[1]: ("reject", None, ["incomplete"], "short"),
    }


def wait_for_question(leader):
    """Read until a question stands at the end of the output."""
    seen, end = b"", time.monotonic() + 20
    while not seen.rstrip().endswith(
        (b"[q]uit\x1b[0m", b"(empty: back)\x1b[0m", b"(may be empty)\x1b[0m")
    ):
        assert time.monotonic() < end, seen
        seen += os.read(leader, 65536)
    time.sleep(0.1)  # until getchar has set the terminal to single keys
    return seen

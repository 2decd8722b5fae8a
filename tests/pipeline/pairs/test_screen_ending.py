import json
from dataclasses import replace

import pytest

from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.pairs.screen.ending import cut_at, unfinished
from pipeline.pairs.weak_english.evidence import sentences
from pipeline.settings import ScreenSettings
from tests.conftest import ROOT
from tests.pipeline.pairs.pairs_data import grounded, screened, task

ASKED = "How is the pump of the FW-200 alarm reset?"


@pytest.mark.parametrize(
    "text",
    [
        "Tighten the outlet screws with a torque of 6 newton metres and",
        "Tighten the outlet screws of the second pump with a torque of 6",
        "The pump stops. It starts again after",
        "The pump stops, the",
        "Hold the key (5 s,",
        "Loosen the irriga-",
        "1. Open the valve.\n2. Set it to 6 bar.\n3. Close the",
        "1. Open the valve.\n2. Set it to 6 bar.\n3. Close it after",
        "| Zone | Bar |\n| --- | --- |\n| 1 | 6",
        "Run:\n```sh\nset pump 6",
        "Ziehen Sie die Schrauben am Ausgang mit einem Drehmoment von sechs Newtonmeter an und",
        "水泵在缺水超过三十秒后会自动停止。请按住复位",
    ],
)
def test_an_answer_that_goes_on_behind_its_end_is_unfinished(text):
    assert cut_at(text)


@pytest.mark.parametrize(
    "text",
    [
        "6 bar", "Port 8443", "8443", "Yes", "After 30 seconds of dry running", "FW-200",
        "Fuse F1 is rated 5 A", "Schalten Sie die Pumpe ein",
        "Up to 6 climate zones and 24 valves", "# Reset the pump of the second zone at once and",
        "The pump stops. See https://example.com/pumps/reset",
        "The settings of the pump and of its alarms are kept in /etc/pump/alarms",
        "The pump of the second zone runs for five minutes on each day (not on Sunday)",
        "The key that resets the alarm of the pump is the one named \u201cReset pump\u201d",
        "The pump runs: \U0001f642", "Is the pump of the second zone running at six bar?",
        "1. Open the valve\n2. Set it to 6 bar and wait until the green lamp turns on",
        "- Open the valve.\n- Port 8443",
        "To reset it:\n\n- hold the key\n- wait until the lamp of the relay board turns on again",
        "Serial number: FW2-00871\nFirmware of the controller: 4.3.1\nAlarm code: A17",
        "| Zone | Bar |\n| --- | --- |\n| 1 | 6 |",
        "Run:\n```sh\nset pump 6 and\n```", "```python\nx = 1\n```",
        "水泵停止。", "6巴", "पंप रुकता है।", "هل تعمل المضخة؟",
        "ปั๊มหยุดทำงาน เมื่อน้ำหมด และเริ่มใหม่ เมื่อน้ำมา แล้ว ไฟ สีเขียว จะ ติด ขึ้น อีก ครั้ง",
    ],
)  # fmt: skip
def test_short_answers_lists_tables_code_and_other_scripts_are_finished(text):
    assert cut_at(text) == ""


def test_the_ending_is_a_reason_of_the_screens_for_tasks_too():
    cut = "The log keeps the number of starts and the alarms of each pump for at least"
    assert screened(grounded(ASKED, cut)).reasons == {"unfinished": 1}
    assert screened(task("Write a line on rain.", "Grey drops on the glass and")).reasons == {
        "unfinished": 1
    }
    assert screened(task("Write two lines on rain.", "Grey drops\non the glass")).reasons == {}


def test_an_answer_that_ends_as_an_item_of_its_text_does_is_finished():
    item = "Firmware 4.2.1 shows the number of starts per day on the maintenance page"
    text = f"What is new:\n\n- {item}\n- The log keeps them for one year"
    said = Candidate(ASKED, item, grounded=True, source=text, languages=("en",))
    assert cut_at(item)
    assert unfinished(said, ScreenSettings()) is None
    within = replace(said, source=f"{item}, and the log.")
    assert unfinished(within, ScreenSettings()) == Finding("unfinished", 0, 1, item[-40:])


def test_no_gold_answer_and_no_part_of_a_sample_is_unfinished():
    """0 of 176 gold answers, 0 of 560 sentences.

    Of the README texts of 180 installed packages: 0 of 968 code blocks, 0 of 53 tables, 0 of 972
    lists, 4 of 1,787 paragraphs and 0 of 8,705 sentences, each with its text as the source. Gold
    answers that lost their last one to eight words are found in 69 of 100 cases; the others are
    left so short that they could be whole.
    """
    rows = (ROOT / "data/gold/gold.jsonl").read_text("utf-8").splitlines()
    answers = [json.loads(row)["answer"] for row in rows]
    assert len(answers) == 176
    assert [answer for answer in answers if cut_at(answer)] == []
    cut = [answer.rsplit(" ", 1 + place % 8)[0] for place, answer in enumerate(answers)]
    assert sum(bool(cut_at(answer)) for answer in cut) > 0.6 * len(cut)
    texts = [path.read_text("utf-8", "replace") for path in (ROOT / "data/samples").rglob("*.md")]
    written = [sentence for text in texts for sentence in sentences(text)]
    assert len(written) > 500
    assert [sentence for sentence in written if cut_at(sentence)] == []

# ruff: noqa: RUF001 - the report writes true minus signs
import re
import xml.etree.ElementTree as ElementTree

import pytest

from pipeline.drift.evidence import FeatureShift, Gram
from pipeline.drift.policy import Decision
from pipeline.report import drift_charts, drift_words
from pipeline.report.charts import draw
from pipeline.report.contents import Drift, Report
from pipeline.report.drift_charts import history
from pipeline.report.html import render
from pipeline.report.text import drift_summary, headline, retrain_summary
from tests.pipeline.report import drifted
from tests.pipeline.report.test_html import ATTACKS, Page

SVG = "{http://www.w3.org/2000/svg}"


def poisoned(value, attack):
    """Put the attack behind each string that is not a name out of a fixed list."""
    if isinstance(value, list):
        return [poisoned(item, attack) for item in value]
    if isinstance(value, dict):
        fixed = ("action", "state", "at", "started_at", "next_retrain_at")
        return {
            # A feature has a name of ours, but for the value of a share.
            key: item
            if key in fixed or (key == "name" and "=" not in item)
            else poisoned(item, attack)
            for key, item in value.items()
        }
    return value + attack if isinstance(value, str) else value


def emptied(value):
    """Return evidence without anything that may be left out."""
    may_be_none = {"reference", "window", "spread_reference", "spread_window"}
    for kind in value["kinds"]:
        kind["two_sample"] = kind["shape"] = None
        for feature in kind["features"]:
            feature |= dict.fromkeys(may_be_none)
    return value | {"signals": {}}


def page(content):
    return Page(render(Report.model_validate(content)))


def text(content):
    return " ".join(page(content).text.split())


def test_the_page_of_a_check_leads_with_its_decision_and_reasons():
    said = text(drifted.drifted())
    top = said[: said.index("Can the new texts be told")]
    for shown in (
        "Retrain: the drift is confirmed and there is enough to learn from.",
        "The words of documents tell new from old: AUC 0.87 (above 0.62)",
        "Each primary test raises a false alarm in at most 1 % of windows.",
        "264 rows",
        "A retrain may start by itself now.",
    ):
        assert shown in top, shown


def test_the_page_names_what_moved_with_effect_and_threshold():
    said = text(drifted.drifted())
    for shown in (
        "◆ Word variety",
        "effect 1.62, threshold 0.22",
        "0.63 → 0.41",
        "◆ Language: de",
        "1.0 % → 43 %",
        "◆ Format: html",
        "Documents: drift",
        "AUC 0.87 · threshold 0.62 · p 0.001",
        "wärmepumpe",
        "␣der",
        "above all in Word variety, Beyond ASCII, Language: de",
        "Loss on newly accepted responses",
        "+0.140 to +0.610",
        "doc-0412",
    ):
        assert shown in said, shown
    assert "Origin: grounded" not in said  # a share that did not move


def test_a_calm_page_marks_nothing():
    said = text(drifted.calm())
    assert "OK: nothing calls for action." in said and "0 of 18 features and shares" in said
    assert "◆" not in said.replace("◆ marks what moved", "") and "worse" not in said


def test_moved_features_come_first():
    shifts = [
        FeatureShift.model_validate(row) for row in drifted.DOCUMENTS if "=" not in row["name"]
    ]
    chart = ElementTree.fromstring(drift_charts.spreads(shifts))
    marked = [
        group.get("class")
        for group in chart.iter(f"{SVG}g")
        if group.get("class") in ("moved", "still")
    ]
    assert marked == sorted(marked) and marked.count("moved") == 4
    assert next(chart.iter(f"{SVG}text")).text == "◆ Word variety"


def test_bars_of_words_go_both_ways_in_proportion():
    found = [Gram.model_validate(drifted.gram(*row)) for row in (("a", 0.1, 0.5), ("b", 0.4, 0.2))]
    bars = {
        bar.get("class"): (float(bar.get("x")[:-1]), float(bar.get("width")[:-1]))
        for bar in ElementTree.fromstring(drift_charts.grams(found)).iter(f"{SVG}rect")
    }
    middle = sum(drift_charts.BARS) / 2
    assert bars["gained"][0] == middle and sum(bars["lost"]) == pytest.approx(middle)
    assert bars["gained"][1] == pytest.approx(2 * bars["lost"][1])


@pytest.mark.parametrize("attack", [*ATTACKS, "\x00\x1b[2J\u202e"])
def test_no_text_of_a_document_becomes_markup(attack):
    content = drifted.drifted() | {"retrain": drifted.RETRAIN}
    clean, hostile = page(content), page(poisoned(content, attack))
    assert hostile.tags == clean.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in clean.attributes]


@pytest.mark.parametrize("attack", ["\x1b[2J", "\u202egnp.exe", "\x00", "\u2066"])
def test_a_word_cannot_steer_the_terminal_or_turn_the_line(attack):
    report = Report.model_validate(
        poisoned(drifted.drifted(), attack) | {"retrain": poisoned(drifted.RETRAIN, attack)}
    )
    for said in (drift_summary(report), retrain_summary(report)):
        assert attack[0] not in said and "\N{REPLACEMENT CHARACTER}" in said


@pytest.mark.parametrize("attack", ["```", "\n```\n![x](http://evil.example/a.png)"])
def test_a_word_cannot_end_the_block_it_stands_in(attack):
    report = Report.model_validate(
        poisoned(drifted.drifted(), attack) | {"retrain": poisoned(drifted.RETRAIN, attack)}
    )
    for said in (drift_summary(report), retrain_summary(report)):
        assert "```" in said
        assert not any(line.strip().startswith("```") for line in said.splitlines())


def test_a_check_that_measured_nothing_has_a_page():
    content = drifted.drifted()
    content["drift"]["evidence"] = emptied(
        Report.model_validate(content).drift.evidence.model_dump(mode="json")
    )
    content["drift"]["decision"] = drifted.DECISION | {"auc": None, "reasons": []}
    report = Report.model_validate(content)
    for said in (text(content), drift_summary(report)):
        assert "None" not in said and "nan" not in said.lower().split()
    assert "No kind of text had enough rows" in text(content)


@pytest.mark.parametrize("missing", ["evidence", "decision", "history", "kinds"])
def test_any_part_of_a_check_may_be_missing(missing):
    content = drifted.drifted()
    drift = dict(content["drift"])
    if missing == "kinds":
        drift["evidence"] = drift["evidence"] | {"kinds": []}
    else:
        drift[missing] = [] if missing == "history" else None
    assert "None" not in text(content | {"drift": drift})


def test_numbers_that_are_none_are_dashes():
    content = Report.model_validate(drifted.drifted())
    rows = [row | {"effect": float("nan"), "p_value": float("inf")} for row in drifted.DOCUMENTS]
    chart = drift_charts.spreads([FeatureShift.model_validate(row) for row in rows])
    assert "nan" not in chart and "inf" not in chart and "effect –" in chart
    assert content.drift is not None


def test_a_page_without_a_check_keeps_its_baseline_at_the_end(report):
    said = " ".join(Page(render(report)).text.split())
    assert "Drift baseline" in said and "Decisions over time" not in said
    assert said.index("Answers side by side") < said.index("Drift baseline")
    assert drift_summary(report) == retrain_summary(report) == ""


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_every_decision_is_drawn_inside_the_frame(count):
    chart = history([Decision.model_validate(row) for row in drifted.history(count)], 0.62)
    if not count:
        assert chart == ""
        return
    root = ElementTree.fromstring(chart)
    marks = [
        group for group in root.iter(f"{SVG}g") if (group.get("class") or "").startswith("mark ")
    ]
    assert len(marks) == count
    for place in root.iter(f"{SVG}svg"):
        if place.get("class") == "at":
            assert 0 <= float(place.get("x")[:-1]) <= 100 and 0 <= float(place.get("y")) <= 240
    retrains = [line for line in root.iter(f"{SVG}line") if line.get("class") == "retrain"]
    assert len(retrains) == count // 40


def test_decisions_differ_without_colour():
    marks = [ElementTree.fromstring(draw("mark", action=action)) for action in drift_words.VERDICTS]
    assert len({ElementTree.tostring(mark[0]) for mark in marks}) == len(marks)


@pytest.mark.parametrize("action", list(drift_words.VERDICTS))
def test_every_action_has_a_headline_of_its_own(action):
    content = drifted.drifted()
    content["drift"]["decision"] = drifted.DECISION | {"action": action}
    said = headline(Report.model_validate(content))
    assert said.startswith(f"{drift_words.VERDICTS[action].name}: ") and said in text(content)


def test_charts_of_a_check_are_described_for_those_who_cannot_see_them():
    said = render(Report.model_validate(drifted.drifted()))
    charts = re.findall(r'<svg class="chart [^>]*role="img"[^>]*>(.{14})', said)
    assert len(charts) == 6 and all(start.startswith("<title>") for start in charts)
    assert "39 checks, oldest first: OK 33, Watch 2, Review 2, Retrain 1, Broken 1." in said


def test_the_decision_of_the_run_is_shown_once():
    decided = Decision.model_validate(drifted.DECISION)
    assert drift_words.series(Drift(decision=decided)) == (decided,)
    assert drift_words.series(Drift(decision=decided, history=(decided,))) == (decided,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("type_token_ratio", "Word variety"),
        ("null type_token_ratio", "Missing: word variety"),
        ("language=de", "Language: de"),
        ("language=", "Language: (empty)"),
        ("pair tokens", "Pairs: length in tokens"),
        ("something_new", "Something new"),
    ],
)
def test_features_read_as_people_say_them(name, said):
    assert drift_words.feature(name) == said


def test_the_terminal_says_what_moved_and_when_the_next_retrain_may_start():
    content = drifted.drifted()
    content["drift"]["decision"] = drifted.DECISION | {"next_retrain_at": "2026-02-07T12:00:00Z"}
    lines = drift_summary(Report.model_validate(content)).splitlines()
    assert lines[0].startswith("Retrain: ") and all(line[:2] == "  " for line in lines[1:])
    assert "Language: de, Word variety" in lines[4] and "wärmepumpe, heat pump" in lines[4]
    assert lines[-2].startswith("  next retrain  from 2026-02-07 12:00 UTC by itself; 264 new rows")


@pytest.mark.parametrize("outcome", ["promoted", "kept", "failed", "dry run", "strange"])
def test_a_retrain_says_why_and_what_came_of_it(outcome):
    retrain = drifted.RETRAIN | {"outcome": outcome, "champion_after": None, "evidence_id": ""}
    content = {"run": drifted.RUN, "retrain": retrain}
    for said in (text(content), retrain_summary(Report.model_validate(content))):
        assert "wärmepumpe" in said and "none, started by hand" in said and "None" not in said
        assert "2026-02-07 12:31 UTC" in said and (
            outcome != "strange" or "ended as strange" in said
        )

# ruff: noqa: RUF001 - the page writes true minus signs
import json
import re
from html.parser import HTMLParser

import pytest

from pipeline.pairs.screen.rules import SCREEN_REASONS
from pipeline.report.contents import Report
from pipeline.report.html import render

VOID = {"meta", "br", "hr", "img", "link", "input"}
ATTACKS = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "</style><svg onload=alert(1)>",
    "]]><script>",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that each tag is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def poisoned(value, attack):
    """Put the attack behind each string, but for the names that sections are looked up by."""
    if isinstance(value, str):
        return value + attack
    if isinstance(value, dict):
        names = ("stage", "name", "require", "choice")
        return {
            key: item if key in names else poisoned(item, attack) for key, item in value.items()
        }
    return [poisoned(item, attack) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_of_a_document_becomes_markup(content, attack):
    clean = Page(render(Report.model_validate(content)))
    page = Page(render(Report.model_validate(poisoned(content, attack))))
    assert sorted(page.tags) == sorted(clean.tags)
    assert [name for name, _ in page.attributes] == [name for name, _ in clean.attributes]
    assert page.text.count(attack) > 20


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_becomes_markup(content, attack):
    content["evaluation"]["arms"] |= {attack: content["evaluation"]["arms"]["base"]}
    content["evaluation"]["arms"]["base"] |= {attack: {"value": 0.1, "low": None, "high": None}}
    content["stages"][0]["reasons"] = {attack: 3}
    content["drift"]["reference"]["features"] = {attack: {"low": 0, "median": 1, "high": 2}}
    page = Page(render(Report.model_validate(content)))
    assert "script" not in page.tags and "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_asks_for_nothing(report):
    page = render(report)
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(parsed.tags)
    assert all(
        value.startswith("#") for name, value in parsed.attributes if name in ("href", "src")
    )
    assert "url(" not in page and "@import" not in page
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert dict(parsed.attributes)["content"] and (("content", policy) in parsed.attributes)


def test_every_section_is_there_and_linked(report):
    page = Page(render(report))
    ids = {value for name, value in page.attributes if name == "id"}
    assert ids == {
        "behaviour",
        "funnel",
        "stages",
        "dropped",
        "repeated",
        "pairs",
        "training",
        "evaluation",
        "gate",
        "forgetting",
        "answers",
        "drift",
        "lineage",
        "settings",
    }
    assert {value[1:] for name, value in page.attributes if name == "href"} == ids


def test_the_page_shows_what_was_measured(report):
    text = " ".join(Page(render(report)).text.split())
    for shown in (
        "The challenger was promoted to champion.",
        "−0.779",
        "−0.919 to −0.639",
        "58 % of candidates",
        "measured 0.41, asked for 0.6",
        "against c9: The pump runs for 40 minutes.",
        "12 min 51 s",
        "4,884,480 trainable parameters",
        "2.4 GB",
        "+0.031",
        "bounds the share of bad pairs at 7.7 %",
        "train 246 · validation 25 · test 47",
        "by the measured spread, is 0.153.",
        "It holds 2.5 bar.",
        "1f9a3c7ae0d2",
        "2026-01-31 12:00 UTC",
    ):
        assert shown in text, shown


def test_the_page_says_who_taught_and_what_a_reason_means(report):
    text = Page(render(report)).text
    assert "The teacher, a model behind an endpoint, was asked" in text
    assert f"not grounded 167 · {SCREEN_REASONS['not_grounded']}" in text


def test_the_page_tells_what_was_replaced_and_what_stayed(report):
    text = " ".join(Page(render(report)).text.split())
    assert "7 EMAIL, 2 IP replaced by placeholders in 4 documents; 3 values stay" in text


def test_boilerplate_is_shown_with_what_to_do(content):
    text = " ".join(Page(render(Report.model_validate(content))).text.split())
    assert "1 paragraph stands in many documents" in text and "4,410 characters shorter" in text
    assert "not liable for plants" in text and "paragraphs.action=remove" in text
    content["repeated"] |= {"removed": 64, "changed_documents": 63}
    text = " ".join(Page(render(Report.model_validate(content))).text.split())
    assert "64 copies were taken out of 63 documents" in text
    content["repeated"] |= {"paragraphs": 0, "most": []}
    assert "repeated" not in Page(render(Report.model_validate(content))).text.lower()


def test_a_partial_run_has_a_page_without_what_it_did_not_reach(partial):
    page = Page(render(partial))
    assert {value for name, value in page.attributes if name == "id"} == {"stages", "dropped"}
    assert "The run stopped before a model was judged." in page.text and "None" not in page.text


def test_a_refusal_says_why_on_top(content):
    content["gate"]["promoted"] = False
    content["gate"]["reasons"][1]["passed"] = False
    text = Page(render(Report.model_validate(content))).text
    top = text[: text.index("From documents to examples")]
    assert "not promoted; there is no champion yet" in top and "98% end by themselves" in top


@pytest.mark.parametrize(
    "section",
    [
        "teacher",
        "review",
        "splits",
        "training",
        "evaluation",
        "gate",
        "forgetting",
        "drift",
        "lineage",
    ],
)
def test_any_section_may_be_missing(content, section):
    content[section] = None
    assert "None" not in Page(render(Report.model_validate(content))).text


def test_an_open_interval_is_shown_as_such(content):
    content["evaluation"]["challenger_minus"]["base"]["correct"] |= {"low": None, "high": None}
    text = Page(render(Report.model_validate(content))).text
    assert "no interval" in text and "too few documents for an interval" in text


def test_a_difference_is_coloured_by_its_meaning_not_by_its_sign(report):
    groups = re.findall(r'<g class="(\w+)"><title>minus ([\w-]+): (\S+)', render(report))
    assert groups == [
        ("better", "base", "0.421"),
        ("unclear", "few-shot", "0.032"),
        ("better", "base", "−0.779"),
        ("better", "few-shot", "−0.468"),
    ]


def test_equal_reports_give_equal_pages(content):
    first = Report.model_validate(content)
    assert render(first) == render(Report.model_validate(json.loads(first.model_dump_json())))


def test_what_changed_in_behaviour_is_counted_beside_chance(report):
    page = render(report)
    section = page[page.index('id="behaviour"') :]
    row = section[section.index("instructions followed") :]
    row = row[: row.index("</tr>")]
    assert re.findall(r">([\d.]+)<", row) == ["24", "9", "6", "4", "1", "0.19"]
    assert "harmful requests refused" not in section  # not measured

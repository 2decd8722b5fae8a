"""Admonitions and tabs of Markdown dialects keep their label and lose their marks."""

import re

import pytest

from pipeline.documents.clean.boxes import without_boxes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!!! note\n    Cool.\n\n    Open it.\n\nOn.", "**Note**\n\nCool.\n\nOpen it.\n\nOn."),
        ('!!! custom "Mine"\n    A.', "**Mine**\n\nA."),
        ("!!! info inline end\n    A.", "**Info**\n\nA."),
        ('!!! warning "Hot lid"\n    Wait.\nOn.', "**Hot lid**\n\nWait.\nOn."),
        ('??? tip "Why?"\n    !!! note\n        A\n    B', "**Why?**\n\n**Note**\n\nA\nB"),
        ('=== "Linux"\n\n    ```sh\n    ls\n    ```\n', "**Linux**\n\n```sh\nls\n```"),
        (":::tip Take care\nWait.\n:::\nOn.", "**Take care**\n\nWait.\n\nOn."),
        ("::::note[Mind it]\nA.\n:::tip\nB.\n:::\n::::", "**Mind it**\n\nA.\n\n**Tip**\n\nB."),
        (":::{warning}\nHot.\n:::", "**Warning**\n\nHot."),
        ("```{note} Mind\nText.\n```", "**Mind**\n\nText."),
        ("> [!IMPORTANT]\n> Read it.", "> **Important**\n> Read it."),
        ("> [!tip]- Why not\n> A.", "> **Why not**\n> A."),
        ("- a\n\n    !!! note\n        In.\n", "- a\n\n    **Note**\n\n    In."),
    ],
)  # fmt: skip
def test_a_box_is_its_label_and_its_text(text, expected):
    assert re.sub("\n{3,}", "\n\n", without_boxes(text)).strip("\n") == expected


@pytest.mark.parametrize(
    "text",
    [
        "Title\n===\n\nText.",
        "```md\n!!! note\n    x\n```",
        "~~~\n:::tip\n:::\n~~~",
        "a === b\n!!! Do not open\n!!! Tip of all tips",
        "::: figure-grid\nx\n:::",
        "```{code-block} python\nx = 1\n```",
        "```error\nE1\n```\n\n:::tips\n:::",
        "> quote\n\n    code",
    ],
)
def test_what_is_no_box_stays(text):
    assert without_boxes(text) == text


@pytest.mark.timeout(20)
def test_many_boxes_take_linear_time():
    without_boxes("!!! note\n" * 100_000)
    without_boxes(":::x\n" + ">" * 200_000)
    without_boxes("".join(f"{' ' * 4 * depth}!!! note\n" for depth in range(1000)))

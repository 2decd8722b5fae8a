"""reStructuredText as Markdown."""

import pytest

from pipeline.documents.readers import rst
from pipeline.documents.readers.reading import ReadFailure

PUMP = "The pump starts when the tank is half full."


def markdown(source: str) -> str:
    (record,) = rst.read(source.encode()).records
    return record.text


def test_sections_become_headings_and_the_first_is_the_title():
    source = f"""
Pump care
=========
:Author: A. Berg

{PUMP}

Limits
------
Four bar.

Valves
~~~~~~
Two.
"""
    (record,) = rst.read(source.encode()).records
    assert record.title == "Pump care"
    assert record.text == (
        f"# Pump care\n\n- Author\n  A. Berg\n\n{PUMP}\n\n## Limits\n\nFour bar.\n\n"
        "### Valves\n\nTwo."
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "*a* **b** ``c_d`` `site <https://x.example>`_",
            "*a* **b** `c_d` [site](https://x.example)",
        ),
        ("``a`b``", "``a`b``"),
        ("Wrapped\nlines of `text`.", "Wrapped lines of *text*."),
        (":ref:`the valve <valve>` and :class:`~a.B`", "the valve and `a.B`"),
        (":math:`x_1^2`", "$x_1^2$"),
        ("- a\n- b\n\n  - c", "- a\n- b\n  - c"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("Term\n   Meaning.", "- Term\n  Meaning."),
        ("-v, --verbose  Says more.", "- `-v, --verbose`\n  Says more."),
        ("See::\n\n   a\n\n     b", "See:\n\n```\na\n\n  b\n```"),
        (">>> 1\n1", "```python\n>>> 1\n1\n```"),
        ("| a\n| b", "a\nb"),
        ("Text\n\n    Quoted.", "Text\n\n> Quoted."),
        ("A [1]_\n\n.. [1] Note.", "A[1]\n\n1. Note."),
        (".. note:: Hot.", "**Note**\n\nHot."),
        (".. sidebar:: S\n\n   Text.", "**S**\n\nText."),
        (".. math::\n\n   a_1", "$$a_1$$"),
        (".. figure:: a.png\n\n   Caption.", "Caption."),
        ("a |x| b\n\n.. |x| replace:: y", "a y b"),
        (".. a comment\n\nText", "Text"),
        ("`gone`_ stays", "gone stays"),
    ],
)
def test_marks_become_those_of_markdown(source: str, text: str):
    assert markdown(source) == text


def test_code_keeps_its_language_whatever_the_options():
    source = ".. code-block:: yaml\n   :linenos:\n   :caption: Settings\n\n   a:\n     - 1"
    assert markdown(source) == "Settings\n\n```yaml\na:\n  - 1\n```"


@pytest.mark.parametrize(
    "table",
    [
        "=====  ===\nPart   Bar\n=====  ===\nValve  4|2\n=====  ===",
        "+-----+---+\n|Part |Bar|\n+=====+===+\n|Valve|4|2|\n+-----+---+",
        ".. list-table::\n   :header-rows: 1\n\n   * - Part\n     - Bar\n   * - Valve\n     - 4|2",
        ".. csv-table::\n   :header: Part, Bar\n\n   Valve, 4|2",
    ],
)
def test_every_kind_of_table_becomes_one(table: str):
    assert markdown(table) == "| Part | Bar |\n|---|---|\n| Valve | 4\\|2 |"


def test_cells_that_span_leave_the_columns_in_place():
    table = "+---+---+\n| a | b |\n|   +---+\n|   | c |\n+---+---+\n| d     |\n+---+---+"
    assert markdown(table) == "| a | b |\n|---|---|\n| a | c |\n| d |  |"


def test_what_pandoc_does_not_know_keeps_its_text():
    source = f"""
.. versionadded:: 4.2
   The dry-run guard.

.. py:function:: start(pump, speed=3)
   :module: pumps

   {PUMP}

.. tabs::

   .. tab:: Linux

      Use apt.

.. note::
   :no-such-option: x

   Kept all the same.
"""
    text = markdown(source)
    for kept in ("4.2", "The dry-run guard.", "`start(pump, speed=3)`", PUMP, "Linux", "Use apt."):
        assert kept in text
    assert "Kept all the same." in text


def test_what_says_nothing_goes_and_the_day_of_reading_is_not_told():
    source = """
.. toctree::
   :maxdepth: 2

   intro

.. contents::
.. index:: pump; care
.. highlight:: python

Care
====

Made |today|.

.. |today| date::
"""
    assert markdown(source) == "# Care\n\nMade ."


SAMPLE = """.. include:: a.rst
.. literalinclude:: a.py

.. csv-table:: T
   :file: a.csv

.. |today| date::

.. py:function:: start(pump, *args)

.. prompt:: bash $

   ls

.. only:: html

:Author: A. Berg

>>> 1
1

Words."""


def test_a_sample_of_rst_in_code_is_left_to_the_letter():
    lines = "\n".join(f"   {line}".rstrip() for line in SAMPLE.split("\n"))
    text = markdown(f"Write::\n\n{lines}\n\n>>> 2\n2\n\nMore.")
    assert text == f"Write:\n\n```\n{SAMPLE}\n```\n\n```python\n>>> 2\n2\n```\n\nMore."


def test_no_file_is_opened(tmp_path):
    secret = tmp_path / "secret.svg"
    secret.write_text("<svg>hidden words</svg>")
    source = f"""
{PUMP}

.. include:: {secret}
.. literalinclude:: {secret}
.. raw:: html
   :file: {secret}
.. csv-table:: T
   :file: {secret}
.. image:: {secret}
   :loading: embed
.. figure:: {secret}
   :figwidth: image
"""
    text = markdown(source)
    assert PUMP in text
    assert "hidden" not in text


def test_a_role_of_a_file_is_unknown_in_the_next():
    before = markdown(":custom:`x` and `y`")
    markdown(".. role:: custom(strong)\n.. default-role:: math\n\n:custom:`x` and `y`")
    assert markdown(":custom:`x` and `y`") == before


@pytest.mark.parametrize("source", ["- " * 3000 + "x", "*" * 5000, ".. a::\n" * 500, "=\n" * 500])
def test_hostile_sources_give_a_text_or_a_reason(source: str):
    try:
        markdown(source)
    except ReadFailure as error:
        assert error.failure.reason in {"unreadable_rst", "empty_file"}

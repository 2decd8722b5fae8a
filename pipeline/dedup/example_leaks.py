"""Leaks among chat examples: the check of pairs, on messages."""

import polars as pl

from pipeline.dedup.decontaminate import Leak, check_leaks


def example_leaks(examples: pl.DataFrame) -> list[Leak]:
    """Return what leaks from train into validation or test, and from validation into test.

    Args:
        examples: of :class:`schemas.pairs.Examples`; all turns but the last are the question.
    """
    contents = pl.col("messages").list.eval(pl.element().struct.field("content"))
    rows = examples.with_columns(
        instruction=contents.list.slice(0, pl.col("messages").list.len() - 1).list.join(" "),
        input=pl.lit(""),
        response=contents.list.last().fill_null(""),
    )
    return check_leaks(rows)

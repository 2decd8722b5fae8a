"""How often a comparison of two equally good models finds a difference at 5 %.

Questions about one document rise and fall together. A bootstrap over rows takes them for so many
independent witnesses and rejects a true null far too often; one over documents does not.

    .venv/bin/python -m tests.benchmarks.bootstrap_rejections
"""

import numpy as np

from pipeline.evaluate.statistics.intervals import p_value

LEVEL = 0.05
DOCUMENTS = 20
"""As many as a small frozen test set has: data/gold has 12 to 24."""
ROWS = 10
"""Questions a document."""
CORRELATION = 0.7
"""Share of the variance of a difference that the rows of a document have in common."""


def rejections(
    unit: str,
    comparisons: int = 1000,
    documents: int = DOCUMENTS,
    rows: int = ROWS,
    correlation: float = CORRELATION,
    draws: int = 1000,
) -> float:
    """Return the share of comparisons, all of them of a true null, with a p-value below 5 %."""
    generator = np.random.default_rng(2026)
    names = np.repeat([f"d{number}" for number in range(documents)], rows)
    units = names if unit == "documents" else np.arange(documents * rows).astype(str)
    found = 0
    for number in range(comparisons):
        shared = np.repeat(generator.normal(0, np.sqrt(correlation), documents), rows)
        own = generator.normal(0, np.sqrt(1 - correlation), documents * rows)
        found += (
            p_value(shared + own, units.tolist(), seed=number * 5 // comparisons, draws=draws)
            < LEVEL
        )
    return found / comparisons


def main() -> None:
    """Print the rates side by side."""
    print("share of 1,000 true nulls rejected at 5 %, 10 rows a document, ICC 0.7")
    print(f"{'documents':>10}{'clustered':>12}{'plain':>8}")
    for documents in (10, 15, 20, 30, 60):
        rates = [rejections(unit, documents=documents) for unit in ("documents", "rows")]
        print(f"{documents:>10}{rates[0]:>12.3f}{rates[1]:>8.3f}")


if __name__ == "__main__":
    main()

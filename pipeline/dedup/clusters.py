"""Clusters of documents from verified edges."""

from collections import defaultdict


class Clusters:
    """Disjoint sets of row numbers (union-find): two rows are together when edges join them."""

    def __init__(self, rows: int) -> None:
        self._parent = list(range(rows))
        self._size = [1] * rows

    def find(self, row: int) -> int:
        """Return the row that stands for the cluster of a row."""
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, one: int, other: int) -> int:
        """Join two clusters and return the size of the result."""
        one, other = self.find(one), self.find(other)
        if one != other:
            if self._size[one] < self._size[other]:
                one, other = other, one
            self._parent[other] = one
            self._size[one] += self._size[other]
        return self._size[one]

    def members(self, row: int) -> list[int]:
        """Return all rows of the cluster of a row, in order."""
        root = self.find(row)
        return [other for other in range(len(self._parent)) if self.find(other) == root]

    def groups(self) -> list[list[int]]:
        """Return every cluster as its rows in order, clusters by their first row."""
        found: dict[int, list[int]] = defaultdict(list)
        for row in range(len(self._parent)):
            found[self.find(row)].append(row)
        return list(found.values())

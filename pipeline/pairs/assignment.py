"""Families on their way to splits, and where a pair belongs by its document or section of it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import polars as pl
from pandera.typing.polars import DataFrame

from pipeline.settings import SplitSettings
from schemas.pairs import SPLITS, Splits

FEW = 6
"""Families that the test split needs at least, as the gate asks (gate.min_test_clusters): with
five, all agree by chance in 1 run of 32."""
LARGEST = 0.25  # of the test split for one family: its rows are no independent evidence
MOST = 1 / 3  # share of all units that test may have for the sake of gold rows, or of FEW


class Unit(NamedTuple):
    """What is assigned as a whole: a document, a section, or a gold row without a document."""

    name: str  # stays when the text is edited
    rows: list[dict[str, str]]  # ``doc_id`` and ``chunk_id`` of its rows
    gold: int = 0  # gold rows that it answers


class Assignment:
    """Families on their way to splits: ``split`` has that of each, by the family's name."""

    def __init__(self, families: Mapping[str, Sequence[Unit]], settings: SplitSettings) -> None:
        self.families, self.settings = families, settings
        self.split: dict[str, str] = {}
        self.places = {name: place_of(settings.salt, name) for name in families}
        self.sizes = {name: len(members) for name, members in families.items()}
        self.gold = {name: sum(u.gold for u in members) for name, members in families.items()}
        self.units = sum(self.sizes.values())

    def assign(self, known: Mapping[str, str]) -> int:
        """Assign all, and return how many families an empty split was filled with."""
        fixed = set()
        for name, members in self.families.items():
            before = {known[unit.name] for unit in members if unit.name in known}
            if before:
                fixed.add(name)
                self.split[name] = min(before, key=SPLITS.index)
            elif self.sizes[name] > max(1, LARGEST * self.settings.test * self.units):
                self.split[name] = "train"
            else:
                self.split[name] = split_of(name, self.settings)
        by_place = sorted(self.families, key=lambda name: self.places[name])
        free = [name for name in by_place if name not in fixed]
        self._take_gold("test", free, 1.0)
        part = self.settings.validation / self.settings.test if self.settings.test else 0.0
        self._take_gold("validation", free, part)
        self._take_few(free)
        return self._fill_empty()

    def _take_gold(self, name: str, free: Sequence[str], part: float) -> None:
        """Move free families with gold rows to a split, until it has its part of them.

        They come from train, for test then from validation. Where the split would grow too large,
        free families without gold rows make room.
        """
        if not getattr(self.settings, name):
            return
        rows, documents = self.settings.gold_rows * part, self.settings.gold_documents * part
        members = self._members(name)
        inside = [self.gold[key] for key in members if self.gold[key]]
        have, held, size = sum(inside), len(inside), sum(self.sizes[key] for key in members)
        left = [key for key in free if self.split[key] == "train" and self.gold[key]]
        if name == "validation":
            left = left[: len(left) // 2]
        left.sort(key=lambda key: self.sizes[key])  # stable: then by place
        if name == "test":
            left += [key for key in free if self.split[key] == "validation" and self.gold[key]]
        others = [key for key in free if self.split[key] == name and not self.gold[key]]
        most = max(1, MOST * self.units)
        for key in left:
            if have >= rows and held >= documents:
                return
            while others and size + self.sizes[key] > most:
                size -= self.sizes[others[-1]]
                self.split[others.pop()] = "train"
            if size + self.sizes[key] > most:
                return
            self.split[key] = name
            have, held, size = have + self.gold[key], held + 1, size + self.sizes[key]

    def _take_few(self, free: Sequence[str]) -> None:
        """Move free families from train to test until it has ``settings.gold_documents``.

        Of those with the fewest documents the ones with gold rows first. A hash alone gives six of
        forty families to test only on average.
        """
        if not self.settings.test:
            return
        inside = self._members("test")
        have, size = len(inside), sum(self.sizes[key] for key in inside)
        left = [key for key in free if self.split[key] == "train"]
        for key in sorted(left, key=lambda key: (self.sizes[key], not self.gold[key])):
            size += self.sizes[key]
            if have >= max(FEW, self.settings.gold_documents) or size > MOST * self.units:
                return
            self.split[key] = "test"
            have += 1

    def _members(self, name: str) -> list[str]:
        return [key for key, where in self.split.items() if where == name]

    def _fill_empty(self) -> int:
        """Give each empty split one family and return how many were moved."""
        test, validation = self.settings.test, self.settings.validation
        centres = {"train": 1.0, "test": test / 2, "validation": test + validation / 2}
        moved = 0
        for name, centre in centres.items():
            counts = Counter(self.split.values())
            if counts[name] or (name != "train" and not getattr(self.settings, name)):
                continue
            donor = max(counts, key=lambda other: (counts[other], other))
            members = self._members(donor)
            *_, nearest = min((self.sizes[k], abs(self.places[k] - centre), k) for k in members)
            self.split[nearest] = name
            moved += 1
        return moved


def split_of(name: str, settings: SplitSettings) -> str:
    """Return the split of what stands alone, by the salted hash of its name."""
    place = place_of(settings.salt, name)
    if place < settings.test:
        return "test"
    return "validation" if place < settings.test + settings.validation else "train"


def place_of(salt: str, name: str) -> float:
    """Return the place of a family in [0, 1): the first 53 bits of the salted sha256."""
    digest = hashlib.sha256(f"{salt}\0{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def places(splits: DataFrame[Splits]) -> Callable[[str, str], dict[str, str] | None]:
    """Return what finds ``split`` and ``cluster_id`` of a ``doc_id`` and ``chunk_id``, or None."""
    columns = ("doc_id", "chunk_id", "split", "cluster_id")
    found = {
        (doc_id, chunk_id): {"split": split, "cluster_id": cluster_id}
        for doc_id, chunk_id, split, cluster_id in splits.select(columns).iter_rows()
    }
    return lambda doc_id, chunk_id: found.get((doc_id, chunk_id)) or found.get((doc_id, ""))


def unit_of(rows: pl.DataFrame) -> str:
    """Return of rows of all splits what was split: ``documents``, or ``sections`` of them."""
    of_documents = rows.filter(pl.col("doc_id") != "")
    clusters = of_documents.select("doc_id", "cluster_id").unique()
    return "sections" if clusters["doc_id"].is_duplicated().any() else "documents"

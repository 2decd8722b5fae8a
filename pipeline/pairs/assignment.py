"""Families on their way to splits: what was there stays, gold rows make the test set."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.settings import SplitSettings
from schemas.pairs import SPLITS

FEW = 6
"""Families that the test split needs at least, as the gate asks (gate.min_test_clusters): with
five, all agree by chance in 1 run of 32."""
LARGEST = 0.25
"""Share of the test split that one family may have: its rows are no independent evidence."""
MOST = 1 / 3
"""Share of all units that test may have for the sake of gold rows, or of :data:`FEW`."""


class Unit(NamedTuple):
    """What is assigned as a whole: a document, a section, or a gold row without a document."""

    name: str
    """Stays when the text is edited."""
    rows: list[dict[str, str]]
    """``doc_id`` and ``chunk_id`` of its rows."""
    gold: int = 0
    """Gold rows that it answers."""


@dataclass
class Assignment:
    """Families on their way to splits."""

    families: Mapping[str, Sequence[Unit]]
    settings: SplitSettings
    split: dict[str, str] = field(default_factory=dict)
    """By name of the family."""

    def __post_init__(self) -> None:
        self.places = {name: place_of(self.settings.salt, name) for name in self.families}
        self.sizes = {name: len(members) for name, members in self.families.items()}
        self.gold = {name: sum(u.gold for u in members) for name, members in self.families.items()}
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
        wanted = max(FEW, self.settings.gold_documents)
        if not self.settings.test:
            return
        inside = self._members("test")
        size = sum(self.sizes[key] for key in inside)
        left = [key for key in free if self.split[key] == "train"]
        for key in sorted(left, key=lambda key: (self.sizes[key], not self.gold[key])):
            if len(inside) >= wanted or size + self.sizes[key] > MOST * self.units:
                return
            self.split[key] = "test"
            inside.append(key)
            size += self.sizes[key]

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
            nearest = min(
                (self.sizes[key], abs(self.places[key] - centre), key)
                for key in self._members(donor)
            )
            self.split[nearest[-1]] = name
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

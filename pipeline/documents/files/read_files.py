"""Reading files by a runner: a crash, a hang or a flood of memory costs one file.

The worker opens the file, and puts what it gave into the cache.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.cache import Cache, Entry, digest
from pipeline.core.code import code_digests
from pipeline.core.progress import advance
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.workers import Done, Failed, Limits
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.read_file import is_lost, keep, read_item, without
from pipeline.documents.left_out import Omission
from pipeline.documents.readers.formats import EXTENSIONS, READERS, extension
from pipeline.documents.readers.reading import Failure, Reading, Record

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings

LIMIT_REASONS = {
    "timeout": ("reader_timeout", "raise ingest.seconds_per_file or exclude the file"),
    "memory": ("out_of_memory", "raise ingest.max_memory_megabytes or exclude the file"),
    "crash": ("reader_crashed", "repair the file or exclude it"),
    "error": ("reader_crashed", "repair the file or exclude it"),
}
"""Why a worker gave nothing -> reason and advice. Not cached: another run tries again."""


def read_files(
    files: Sequence[SourceFile],
    settings: "IngestSettings",
    cache: Cache,
    runner: Runner = LOCAL,
    refused: frozenset[str] = frozenset(),
) -> Iterator[Reading]:
    """Read files, or take what they gave before; equal contents are read once.

    All are read before the first is given out; what they gave lies in the cache then.
    """
    entries = [cache.entry(_key(file, settings)) for file in files]
    reads = _Reads(files, entries, settings, runner, refused)
    reads.read([place for place in range(len(files)) if reads.must_read(place)])
    for place in range(len(files)):
        found = reads.get(place)
        if found is None:  # the entry was torn by a power cut
            reads.read([place])
            found = reads.get(place)
            assert found is not None, "it was read, so it is here or in the cache"
        yield found


@dataclass
class _Reads:
    """What files gave: in the cache, or here where it is not for another run."""

    files: Sequence[SourceFile]
    entries: Sequence[Entry]
    settings: "IngestSettings"
    runner: Runner
    refused: frozenset[str]
    failed: dict[Path, Reading] = field(default_factory=dict)  # met a limit; by path of entry
    lost: dict[int, Reading] = field(default_factory=dict)  # changed or gone before they were read
    opened: set[int] = field(default_factory=set)

    def must_read(self, place: int) -> bool:
        file = self.files[place]
        closed = file.path is None or _refusal(file, self.settings) is not None
        return not closed and not self.entries[place].exists()

    def read(self, places: Sequence[int]) -> None:
        """Read files and cache what they gave; of equal contents the next when one is lost."""
        plain = self.settings.plain()
        read = partial(read_item, settings=plain, refused=self.refused, near=self.runner.near)
        limits = Limits(plain.seconds_per_file, plain.max_memory_megabytes)
        while places:
            by_content = {self.entries[place].path: place for place in reversed(places)}
            firsts = sorted(by_content.values())
            items = [(self.files[place], self.entries[place]) for place in firsts]
            answers = self.runner.guarded(read, items, limits)
            for place, answer in zip(firsts, answers, strict=True):
                self._take(place, answer)
            lost = {self.entries[place].path for place in firsts if place in self.lost}
            advance(len(self.files) - len(lost), len(self.files), "files")
            left = (place for place in places if place not in self.opened)
            places = [place for place in left if self.entries[place].path in lost]

    def _take(self, place: int, answer: Done[Reading | None] | Failed) -> None:
        self.opened.add(place)
        advance(len(self.opened), len(self.files), "files")
        if isinstance(answer, Failed):
            reason, advice = LIMIT_REASONS[answer.reason]
            message = f"{answer.message}; expected it to be read within the limits; {advice}"
            failure = Failure(reason, message, answer.value, answer.threshold)
            self.failed[self.entries[place].path] = Reading([], [failure])
        elif answer.value is not None and is_lost(answer.value):
            self.lost[place] = answer.value
        elif answer.value is not None:  # its disk has no cache
            keep(answer.value, self.entries[place])

    def get(self, place: int) -> Reading | None:
        """Return what a file gave; None when neither this nor the cache has it."""
        file, entry = self.files[place], self.entries[place]
        found = _refusal(file, self.settings) or self.lost.get(place)
        found = found or self.failed.get(entry.path) or _cached(file, entry)
        return found and without(found, self.refused)._replace(opened=place in self.opened)


def _refusal(file: SourceFile, settings: "IngestSettings") -> Reading | None:
    if file.problem is not None:
        return Reading([], [file.problem])
    limit = settings.max_file_megabytes * MEGABYTE
    if file.size <= limit:
        return None
    message = f"{file.size} bytes found; raise ingest.max_file_megabytes or split the file"
    return Reading([], [Failure("too_large", message, file.size, limit)])


def _cached(file: SourceFile, entry: Entry) -> Reading | None:
    if (value := entry.get()) is not None:  # of tuples JSON makes lists
        records = [
            Record._make([*stored, tuple(Omission(*each) for each in left_out)])
            for *stored, left_out in value["records"]
        ]
        return Reading(records, [Failure(*stored) for stored in value["failures"]])
    if file.path is not None:
        return None
    advice = "it has left the folder and its text is not in the cache; put it back"
    return Reading([], [Failure("vanished_file", advice)])


@functools.cache
def _readers() -> str:
    """Return the digest of the readers' code: what another one read, or could not, is read anew."""
    return digest(code_digests(("pipeline.documents.files.read_file",)))[:16]


def _key(file: SourceFile, settings: "IngestSettings") -> dict[str, Any]:
    """Content and all that decides how it is read; not the source, which a file may change."""
    suffix = extension(file.source)
    key: dict[str, Any] = {"readers": _readers(), "sha256": file.sha256, "extension": suffix}
    reader = READERS.get(EXTENSIONS.get(suffix, ""))
    if reader and reader.archive:
        name = extension(file.source.removesuffix(suffix))  # a gzip file says so what is in it
        key |= {"name": name, "limit": settings.max_file_megabytes}
    if reader and (reader.fields or reader.archive):
        key |= {"text_field": settings.text_field, "title_fields": list(settings.title_fields)}
    return key

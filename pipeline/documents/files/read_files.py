"""Reading files by a runner: a crash, a hang or a flood of memory costs one file.

The worker opens the file; the process that collects gets its text alone.
"""

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.core.cache import Cache, Entry, digest
from pipeline.core.code import code_digests
from pipeline.core.progress import advance
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.workers import Done, Failed, Limits
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.folder import problem
from pipeline.documents.files.read_file import (
    OWN_REASONS,
    FileReading,
    failed,
    keep,
    read_and_keep,
    read_item,
    reasons,
    without,
)
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

HELD = 2**25
"""Characters of texts that are held here while files are read, besides in the cache."""


def read_files(
    files: Sequence[SourceFile],
    settings: "IngestSettings",
    cache: Cache,
    runner: Runner = LOCAL,
    refused: frozenset[str] = frozenset(),
) -> Iterator[FileReading]:
    """Read files, or take what they gave before; equal contents are read once.

    All are read before the first is given out. What they gave lies in the cache then; up to
    :data:`HELD` characters are held as well, so that a small corpus is not read from there again.

    Yields:
        One reading a file, in the order of the files.
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


class _Reads:
    """What files gave: in the cache, or here where it is not cached or there is room."""

    def __init__(
        self,
        files: Sequence[SourceFile],
        entries: Sequence[Entry],
        settings: "IngestSettings",
        runner: Runner,
        refused: frozenset[str],
    ) -> None:
        self.files, self.entries, self.settings, self.runner = files, entries, settings, runner
        self.refused = refused
        self.held: dict[int, FileReading] = {}
        self.room = HELD
        self.opened: set[int] = set()
        self.first: dict[int, int] = {}
        """File -> the one of the same content that was read for it."""

    def must_read(self, place: int) -> bool:
        file = self.files[place]
        refused = _refusal(file, self.settings) is not None
        cached = bool(file.sha256) and self.entries[place].exists()
        return not refused and not cached and file.path is not None

    def read(self, missing: Sequence[int]) -> None:
        """Read files and cache what they gave; of equal contents the others only when it is lost.

        It is lost where a file has changed or gone before it was read.
        """
        settings, near = self.settings, self.runner.near
        while missing:
            groups = {self.entries[place].path: place for place in reversed(missing)}
            firsts = sorted(groups.values())
            # Far from this disk nothing can be put into the cache: it is done here.
            answers = self.runner.guarded(
                partial(
                    read_and_keep if near else read_item,
                    settings=settings.plain(),
                    refused=self.refused,
                ),
                [(self.files[place], self.entries[place]) for place in firsts],
                Limits(settings.seconds_per_file, settings.max_memory_megabytes),
            )
            lost = {
                place
                for place, answer in zip(firsts, answers, strict=True)
                if self._take(place, answer)
            }
            advance(len(self.files) - len(lost), len(self.files), "files")
            for place in missing:
                self.first[place] = groups[self.entries[place].path]
            missing = [
                place for place in missing if self.first[place] in lost and place not in self.opened
            ]

    def _take(self, place: int, answer: Done[FileReading] | Failed) -> bool:
        """Keep what a file gave; return whether another file of its content has to be read."""
        self.opened.add(place)
        advance(len(self.opened), len(self.files), "files")
        if isinstance(answer, Failed):
            self.held[place] = FileReading("", _limited(answer), True)
            return False
        found = answer.value
        lost = bool(reasons(found) & OWN_REASONS)
        if not self.runner.near:
            keep(found, self.entries[place])
        size = sum(len(record.text) for record in found.reading.records)
        if lost or not found.reading.records or size < self.room:
            self.room -= size
            self.held[place] = found
        return lost

    def get(self, place: int) -> FileReading | None:
        """Return what a file gave; None when neither this nor the cache has it."""
        found = self.held.get(self.first.get(place, place))
        if found is None:
            found = _without_opening(self.files[place], self.settings, self.entries[place])
        return found and without(found, self.refused)._replace(opened=place in self.opened)


def _refusal(file: SourceFile, settings: "IngestSettings") -> FileReading | None:
    """Return why a file is not to be opened."""
    if file.problem is not None:
        return failed(file.problem)
    limit = settings.max_file_megabytes * MEGABYTE
    return failed(_too_large(file.size, limit)) if file.size > limit else None


def _without_opening(
    file: SourceFile, settings: "IngestSettings", entry: Entry
) -> FileReading | None:
    refused = _refusal(file, settings)
    if refused is not None:
        return refused
    value = entry.get() if file.sha256 else None
    if value is not None:
        return FileReading(
            value["format"],
            Reading(
                [_record(*record) for record in value["records"]],
                [Failure(*failure) for failure in value["failures"]],
            ),
        )
    if file.path is None:
        return failed(
            problem(
                "vanished_file",
                "it has left the folder and its text is not in the cache; put it back",
            )
        )
    return None


def _record(*stored: Any) -> Record:
    """Return a record of the cache, where a tuple is a list."""
    record = Record(*stored)
    return record._replace(left_out=tuple(Omission(*each) for each in record.left_out))


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
        # A gzip file says by its name what is in it.
        key |= {
            "name": extension(file.source.removesuffix(suffix)),
            "limit": settings.max_file_megabytes,
        }
    if reader and (reader.fields or reader.archive):
        key |= {"text_field": settings.text_field, "title_fields": list(settings.title_fields)}
    return key


def _limited(failed: Failed) -> Reading:
    reason, advice = LIMIT_REASONS[failed.reason]
    message = f"{failed.message}; expected it to be read within the limits; {advice}"
    return Reading([], [Failure("", reason, message, failed.value, failed.threshold)])


def _too_large(size: int, limit: float) -> Failure:
    message = f"{size} bytes found; raise ingest.max_file_megabytes or split the file"
    return Failure("", "too_large", message, size, limit)

"""Reading files by a runner: a crash, a hang or a flood of memory costs one file.

The worker opens the file, and puts what it gave into the cache.
"""

import functools
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.cache import Cache, Entry, digest
from pipeline.core.code import code_digests
from pipeline.core.progress import advance
from pipeline.core.runner import LOCAL, Runner
from pipeline.core.workers import Failed, Limits
from pipeline.documents.files.files import MEGABYTE, SourceFile
from pipeline.documents.files.read_file import is_lost, read_item, without
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
    plain = settings.plain()
    read = partial(read_item, settings=plain, refused=refused, near=runner.near)
    limits = Limits(plain.seconds_per_file, plain.max_memory_megabytes)
    refusals = ((place, _refusal(file, settings)) for place, file in enumerate(files))
    # What is not for another run: of a file that is not opened, or changed before it was read, and
    # of a content that met a limit, by the path of its entry.
    closed = {place: found for place, found in refusals if found}
    failed: dict[Path, Reading] = {}
    opened: set[int] = set()

    def read_all(places: Sequence[int]) -> None:
        """Read files and cache what they gave; of equal contents the next when one is lost."""
        while places:
            firsts = sorted({entries[place].path: place for place in reversed(places)}.values())
            items = [(files[place], entries[place]) for place in firsts]
            for place, answer in zip(firsts, runner.guarded(read, items, limits), strict=True):
                opened.add(place)
                advance(len(opened), len(files), "files")
                if isinstance(answer, Failed):
                    failed[entries[place].path] = _met_limit(answer)
                elif answer.value is not None and is_lost(answer.value):
                    closed[place] = answer.value
                elif answer.value is not None:  # its disk has no cache
                    entries[place].put(answer.value._asdict(), durable=False)
            lost = {entries[place].path for place in firsts if place in closed}
            advance(len(files) - len(lost), len(files), "files")
            left = (place for place in places if place not in opened)
            places = [place for place in left if entries[place].path in lost]

    def given(place: int) -> Reading | None:
        entry = entries[place]
        return closed.get(place) or failed.get(entry.path) or _cached(files[place], entry)

    new = (place for place, file in enumerate(files) if file.path and place not in closed)
    read_all([place for place in new if not entries[place].exists()])
    for place in range(len(files)):
        found = given(place)
        if found is None:  # the entry was torn by a power cut
            read_all([place])
            found = given(place)
            assert found is not None, "it was read, so it is here or in the cache"
        yield without(found, refused)._replace(opened=place in opened)


def _met_limit(failed: Failed) -> Reading:
    reason, advice = LIMIT_REASONS[failed.reason]
    message = f"{failed.message}; expected it to be read within the limits; {advice}"
    return Reading([], [Failure(reason, message, failed.value, failed.threshold)])


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

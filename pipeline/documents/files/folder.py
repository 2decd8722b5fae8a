"""A look at the input folder without opening anything that is not a file of it."""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.core.errors import InputError
from pipeline.documents.readers.reading import Failure

if TYPE_CHECKING:  # a worker process needs no pydantic, which takes long to load
    from pipeline.settings import IngestSettings


def matcher(settings: "IngestSettings") -> Callable[[str], bool]:
    """Return what tells whether a POSIX path below the root is included and not excluded."""
    include, exclude = _any_of(settings.include), _any_of(settings.exclude)
    return lambda source: bool(include.fullmatch(source)) and not exclude.fullmatch(source)


def _any_of(globs: Iterable[str]) -> re.Pattern[str]:
    from fsspec.utils import glob_translate  # a worker process needs no fsspec

    try:
        return re.compile("|".join(map(glob_translate, globs)))
    except ValueError as error:  # it says what is wrong with "**.md"
        raise InputError(f"ingest.include, ingest.exclude: {error}; write **/* for it") from error


def walk(base: Path, settings: "IngestSettings") -> Iterator[tuple[Path, Failure | None]]:
    """Yield all that is no folder, and the folders that can't be read, with the reason."""
    # A folder whose whole content is excluded (".git/**") is not entered.
    pruned = _any_of(glob for glob in settings.exclude if glob.endswith("/**"))
    folders = [base]
    # Not by os.walk: until Python 3.12 it ends in a RecursionError a thousand folders down.
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(
                    (entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries
                )
        except OSError as error:
            if folder == base:
                raise InputError(
                    f"input folder {base}: {error.strerror} found; expected a folder that you may "
                    "read; mend its permissions"
                ) from error
            yield folder, unreadable(error)._replace(reason="unreadable_folder")
            continue
        for name, is_folder in found:
            path = folder / name
            if not is_folder:
                yield path, None
            elif not pruned.fullmatch(source_of(path / "x", base)):
                folders.append(path)


def look(path: Path, base: Path) -> os.stat_result | Failure | None:
    """Return the status of a file (of a link its target's), why it is not opened, or None: gone."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return unreadable(error)
    if stat.S_ISLNK(status.st_mode):
        try:
            target = path.resolve(strict=True)
            status = target.stat()
        except (OSError, RuntimeError) as error:  # RuntimeError: a circle, until Python 3.13
            return Failure("broken_link", f"a link that leads nowhere found ({error}); remove it")
        if not target.is_relative_to(base):
            return Failure(
                "outside_folder",
                f"a link to {_readable(target)} found; expected one that stays below the input "
                "folder; copy the file there",
            )
    name = _KINDS.get(stat.S_IFMT(status.st_mode))
    return Failure("not_a_file", f"{name} found; expected a file; exclude it") if name else status


_KINDS = {
    stat.S_IFDIR: "a link to a folder whose files are read where they lie",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, else an OSError; never wait for the end of a pipe."""
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "not a regular file")
    return stream


def source_of(path: Path, base: Path) -> str:
    r"""Return the POSIX path below the root; bytes that are not UTF-8 are written ``\xNN``."""
    return _readable(path.relative_to(base))


def _readable(path: Path) -> str:
    # Tables hold UTF-8 only; a name in another encoding arrives with lone surrogates.
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unreadable(error: OSError) -> Failure:
    """Return the failure of a file that the system does not give out."""
    if isinstance(error, FileNotFoundError):
        advice = "expected it where it was listed, seen by all machines that read; put it there"
    else:
        advice = "mend its permissions"
    return Failure("unreadable_file", f"{error.strerror}; {advice}")

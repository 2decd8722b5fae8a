"""The input folder in an object store: listed here, its files read where the work is done."""

from errno import EBUSY
from typing import NamedTuple

from pipeline.core.cache import digest
from pipeline.core.errors import InputError
from pipeline.core.remote import open_store, told, version_of, words
from pipeline.documents.readers.reading import ReadFailure


class RemotePath(NamedTuple):
    """An object of a store, in the version that was listed."""

    source: str  # path below the input folder
    root: str  # address of the input folder
    name: str  # as the driver names it, without the scheme
    version: str
    size: int

    def __str__(self) -> str:
        return f"{self.root.partition('://')[0]}://{self.name}"

    @property
    def identity(self) -> str:
        """What stands for the content, which is not known before it is read."""
        return digest([str(self), self.size, self.version])


def list_objects(root: str) -> list[RemotePath]:
    """List all objects below an address by source; an InputError: its store does not tell them."""
    store, base = open_store(root)
    with told(root, "list"):
        found = store.find(base, detail=True)
        if not found:
            store.ls(base.partition("/")[0])  # a bucket that is missing is no empty folder
    store.invalidate_cache()  # it keeps a kilobyte an object
    objects = []
    for name, info in found.items():
        source = name.removeprefix(base.rstrip("/") + "/")
        if name == base:
            raise InputError(
                f"input folder {root}: a file found; expected a folder of documents; set "
                "paths.input to the address above it"
            )
        if info.get("type") == "directory" or name.endswith("/"):
            continue  # the empty object that some programs make of a folder
        version = version_of(info)
        if not version:
            raise InputError(
                f"input folder {root}: its driver tells neither an ETag nor a time of {name}; "
                "expected one, since a changed file could not be told; copy the files to a disk"
            )
        objects.append(RemotePath(source, root, name, version, int(info["size"] or 0)))
    return sorted(objects)


def read_object(path: RemotePath, most: int) -> bytes | None:
    """Return first bytes of an object, None of another version; ReadFailure: unreadable_file."""
    try:
        store, _ = open_store(path.root)
        with store.open(path.name, "rb", cache_type="none") as stream:
            if version_of(stream.details) != path.version:
                return None
            data: bytes = stream.read(most)
        if "s3" not in store.protocol:  # whose driver reads no other version than the one it opened
            store.invalidate_cache()
            if version_of(store.info(path.name)) != path.version:
                return None
    except Exception as error:  # each driver has its own, of no common kind
        if isinstance(error, OSError) and error.errno == EBUSY:
            return None  # s3fs: another version came between looking and reading
        said = f"{type(error).__name__}: {words(error)}"
        raise ReadFailure("unreadable_file", f"{said}; look at the store, and run again") from error
    return data

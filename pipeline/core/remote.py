"""Addresses of object stores (``s3://``, ``gs://``, ``abfs://``), opened through fsspec.

Credentials come from the environment, as each driver takes them (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL`` ...): they are no settings, and no message names them.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pipeline.core.cache import user_cache
from pipeline.core.errors import InputError, TuneloopError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)

_SECRET = re.compile(r"//[^/@]*:[^/@]*@|[?#]")  # a password, or a query, which may hold a signature

DRIVERS = {
    "s3": ("'tuneloop[s3]'", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"),
    "gs": ("gcsfs", "GOOGLE_APPLICATION_CREDENTIALS"),
    "abfs": ("adlfs", "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
}
"""Scheme -> what pip installs for it, and where its driver looks for credentials first."""

HOMES = "homes"


def mirror_of(address: str) -> Path:
    """Return the folder that mirrors a home: in ``TUNELOOP_CACHE``, or the user's cache."""
    cache = Path(os.environ.get("TUNELOOP_CACHE") or user_cache())
    return cache.absolute() / HOMES / quote(address.rstrip("/"), safe="")


def address_of(home: Path) -> str | None:
    """Return the address of the home that a folder mirrors, or None when it mirrors none."""
    address = unquote(home.name)
    return address if home.parent.name == HOMES and is_address(address) else None


def is_address(location: object) -> bool:
    """Return whether a location is an address of a store rather than a path of this machine."""
    return isinstance(location, str) and _SCHEME.match(location) is not None


def holds_secret(address: str) -> bool:
    """Return whether an address holds a password or a signature, which are no settings."""
    return _SECRET.search(address) is not None


def open_store(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and its path in it; an InputError without a driver."""
    import fsspec  # a worker of local files needs none of it

    scheme, _, _ = address.partition("://")
    package, _ = DRIVERS.get(scheme, ("the package of its driver", ""))
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise InputError(
            f"{address}: no driver for {scheme}:// is installed; expected its package; run "
            f"`pip install {package}`"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{address}: {scheme}:// is no kind of store that fsspec knows; expected one of "
            f"{', '.join(f'{name}://' for name in DRIVERS)} or a folder; mend the address"
        ) from error
    store = kind(**kind._get_kwargs_from_urls(address))
    store.invalidate_cache()  # one object serves all calls: what it listed before may be old
    return store, kind._strip_protocol(address)


@contextmanager
def told(address: str, what: str) -> Iterator[None]:
    """Turn what a driver raises in the block into an InputError; ``what`` is done, say "list"."""
    scheme, _, _ = address.partition("://")
    _, variables = DRIVERS.get(scheme, ("", "what its driver reads"))
    try:
        yield
    except TuneloopError:
        raise
    except FileNotFoundError as error:
        raise InputError(
            f"{address}: nothing there ({words(error)}); expected a bucket or container that "
            "exists; mend the address"
        ) from error
    except PermissionError as error:
        raise InputError(
            f"{address}: refused ({words(error)}); expected credentials that may {what} there, in "
            f"the environment as its driver takes them ({variables}); set them"
        ) from error
    except Exception as error:  # each driver has its own, of no common kind
        raise InputError(
            f"{address}: cannot {what} there ({type(error).__name__}: {words(error)}); expected a "
            f"store that answers and credentials in the environment ({variables}); mend them"
        ) from error


def words(error: BaseException) -> str:
    """Return what an error says, on one line."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:300]


_TAGS = (
    "ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime",
    "created",
)  # fmt: skip
"""What tells one version of an object from another, best first: each driver has its own word."""


def version_of(info: dict[str, Any]) -> str:
    """Return what tells this version of an object from others; empty without."""
    return next((str(info[name]) for name in _TAGS if info.get(name)), "")

"""The secret that keeps others out of a home's Prefect server: web pages, users of this machine.

Prefect runs shell commands for whoever may change a deployment, and by itself lets everybody.
The secret is in one file that its owner alone may read; it goes to processes through their
environment.
"""

import os
import secrets
from pathlib import Path

from filelock import FileLock

from flows.engine.home import is_shared
from pipeline.core.errors import StoreError

NAME = "tuneloop"
"""Of the one user that Prefect knows."""


def secret_path(home: Path) -> Path:
    """Return the file with the secret of the server that ``tuneloop up`` starts."""
    return home / "prefect" / "login"


def new_secret() -> str:
    """Return a secret as Prefect takes it: ``name:password``."""
    return f"{NAME}:{secrets.token_urlsafe(24)}"


def make_secret(home: Path) -> str:
    """Return the secret of a home, made when there is none.

    Raises:
        StoreError: the file holds something else.
        OSError: it cannot be written.
    """
    path = secret_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name("login.lock")):
        if not path.exists():
            write_privately(path, new_secret() + "\n", 0o660 if is_shared(home) else 0o600)
    return read_secret(home)


def read_secret(home: Path) -> str:
    """Return the secret of a home.

    Raises:
        StoreError: the file is not there, not readable, or holds something else.
    """
    path = secret_path(home)
    try:
        found = path.read_text("utf-8").strip()
        problem = "" if found.startswith(f"{NAME}:") and len(found) > 2 * len(NAME) else "damaged"
    except (OSError, UnicodeDecodeError) as error:
        found, problem = "", type(error).__name__
    if problem:
        raise StoreError(
            f"{path}: it cannot be used ({problem}); expected {NAME}:PASSWORD, the login of our "
            "Prefect server; delete it and start `tuneloop up` again"
        )
    return found


def write_privately(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step; nobody else may read it at any moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

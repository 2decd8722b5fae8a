"""Where Label Studio is and with which key: a server of yours, or the one that we start."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import ReviewError
from pipeline.settings import LabelStudioSettings

KEY_VARIABLE = "LABEL_STUDIO_API_KEY"


@dataclass(frozen=True)
class Connection:
    """Address and key; the key shows in no message."""

    url: str
    key: str = field(repr=False)
    """A legacy token or a personal access token."""
    source: str = KEY_VARIABLE
    """Where the key was found, for messages."""


@dataclass(frozen=True)
class Login:
    """How programs and people get into the server that we start."""

    url: str
    username: str
    password: str = field(repr=False)
    token: str = field(repr=False)


def login_path(home: Path) -> Path:
    """Return the file with the login of the server that we start; its owner alone may read it."""
    return home / "label_studio" / "login.json"


def read_login(home: Path) -> Login | None:
    """Return the login of the server that we start, or None when it was never started.

    Raises:
        ReviewError: the file is there and cannot be used.
    """
    path = login_path(home)
    try:
        row = json.loads(path.read_text("utf-8"))
        fields = [row[name] for name in ("url", "username", "password", "token")]
        if not all(isinstance(value, str) and value for value in fields):
            raise ValueError("empty")
        return Login(*fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReviewError(
            f"{path}: it cannot be used ({type(error).__name__}); expected url, username, password "
            "and token; put it back from a copy, or delete it and run `tuneloop up`"
        ) from error


def find_connection(settings: LabelStudioSettings, home: Path) -> Connection | None:
    """Return the server to review on, or None when there is none.

    A url in the settings wins, its key from LABEL_STUDIO_API_KEY; else the home folder's login.

    Raises:
        ReviewError: a url without a key, or a login that cannot be read.
    """
    if settings.url:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise ReviewError(
                f"label_studio.url: {settings.url} is set and {KEY_VARIABLE} is not; expected the "
                "legacy or personal access token of a user there; copy it from Account & Settings "
                f"of Label Studio and set {KEY_VARIABLE}"
            )
        return Connection(settings.url.rstrip("/"), key)
    login = read_login(home)
    return Connection(login.url, login.token, str(login_path(home))) if login else None

"""Label Studio's address, key and accounts: of a server of yours, or of the one that we start."""

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from pipeline.core.errors import ReviewError
from pipeline.core.record import Record
from pipeline.settings import LabelStudioSettings, Settings
from pipeline.text.words import words

KEY_VARIABLE = "LABEL_STUDIO_API_KEY"
EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")


@dataclass(frozen=True)
class Connection:
    """Address and key; the key shows in no message."""

    url: str
    key: str = field(repr=False)  # a legacy token or a personal access token
    source: str = KEY_VARIABLE  # where the key was found, for messages

    def client(self, timeout: float) -> httpx.Client:
        """Return a client that follows no redirect: http to https would make a POST a GET."""
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        return httpx.Client(base_url=self.url, timeout=timeout, trust_env=not local)


class Login(Record):
    """How programs and people get into the server that we start."""

    url: Annotated[str, Field(min_length=1)]
    username: Annotated[str, Field(min_length=1)]
    password: Annotated[str, Field(min_length=1, repr=False)]
    token: Annotated[str, Field(min_length=1, repr=False)]


def login_path(home: Path) -> Path:
    """Return the file with the login of the server that we start; its owner alone may read it."""
    return home / "label_studio" / "login.json"


def read_login(home: Path) -> Login | None:
    """Return the login of the server that we start (ReviewError: no use), None without one."""
    path = login_path(home)
    try:
        return Login.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ReviewError(
            f"{path}: it cannot be used ({type(error).__name__}); expected url, username, password "
            "and token; put it back from a copy, or delete it and run `tuneloop up`"
        ) from error


def find_connection(settings: LabelStudioSettings, home: Path) -> Connection | None:
    """Return the server to review on, None without one; ReviewError: a url without its key."""
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


def invite(name: str, settings: Settings) -> dict[str, str]:
    """Make an account for a name or e-mail address: ``url``, ``email`` and ``password`` of it.

    A ReviewError where there is no server, or it refuses.
    """
    connection = find_connection(settings.label_studio, settings.paths.home)
    if connection is None:
        raise ReviewError(
            "review invite: no Label Studio found; expected its login in the home folder or a "
            "label_studio.url; start it with `tuneloop up`"
        )
    email = name if "@" in name else f"{'.'.join(words(name))}@localhost"
    if not EMAIL.fullmatch(email):
        raise ReviewError(
            f"review invite: {name!r} found; expected an e-mail address, or a name of which one "
            "can be made in Latin letters; give one"
        )
    account = {"email": email, "password": secrets.token_urlsafe(12)}
    try:
        with connection.client(timeout=60) as client:
            key = {"Authorization": f"Token {connection.key}"}
            invitation = client.get("/api/invite", headers=key).raise_for_status().json()
            link = str(invitation["invite_url"])
            secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(link).text)
            fields = account | {"csrfmiddlewaretoken": secret[1] if secret else ""}
            answer = client.post(link, data=fields, headers={"Referer": connection.url})
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ReviewError(
            f"label studio at {connection.url}: no account was made "
            f"({error or type(error).__name__}); expected a running server with invitations; "
            "start it with `tuneloop up`, or invite people on its Organization page"
        ) from error
    if not answer.is_redirect:
        raise ReviewError(
            f"label studio at {connection.url}: it made no account for {email} (HTTP "
            f"{answer.status_code}); expected an address that has none yet; choose another name"
        )
    return {"url": connection.url} | account

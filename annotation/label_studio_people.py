"""Accounts of reviewers in Label Studio, made by its invitation link."""

import re
import secrets
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from annotation.label_studio_connection import find_connection
from pipeline.core.errors import ReviewError
from pipeline.settings import Settings
from pipeline.text.words import words

EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")


class Account(NamedTuple):
    """A login as it is handed over."""

    url: str
    email: str
    password: str


def invite(name: str, settings: Settings) -> Account:
    """Make an account with a random password, which is returned and stored nowhere.

    Args:
        name: an e-mail address, or a name of which one is made.
        settings: section ``label_studio``, and the home with its login.

    Raises:
        ReviewError: there is no server, it cannot be asked, or it refuses the account.
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
    account = Account(connection.url, email, secrets.token_urlsafe(12))
    local = urlsplit(connection.url).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        with httpx.Client(base_url=connection.url, timeout=60, trust_env=not local) as client:
            key = {"Authorization": f"Token {connection.key}"}
            link = str(
                client.get("/api/invite", headers=key).raise_for_status().json()["invite_url"]
            )
            form = client.get(link)
            secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
            fields = {"email": email, "password": account.password}
            fields["csrfmiddlewaretoken"] = secret[1] if secret else ""
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
    return account

"""The Label Studio server that ``tuneloop up`` starts, in an environment of its own.

It is bound to 127.0.0.1, keeps its data in the home folder and reaches no other machine. Token and
password go to the server through its environment: other users can read command lines.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import httpx

import annotation
import flows
from annotation.label_studio_connection import Login, login_path, read_login
from flows.services.service import Service
from pipeline.core.cache import write_atomically
from pipeline.core.errors import StoreError
from pipeline.settings import Settings

OPTIONS = ("start", "--no-browser", "--internal-host", "127.0.0.1", "--port")
HEALTH_SECONDS = 5.0
DATABASE, EMPTY = "label_studio.sqlite3", "empty.sqlite3"
"""The latter in Label Studio's environment: without tables to copy, a start takes a minute."""
NOWHERE = "http://127.0.0.1:9"  # the discard port: a proxy that answers nobody
SERVER = {
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",  # an address is built in
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    # Its page of tips makes the server fetch a file from GitHub, and no setting stops that.
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
    # Nothing but the settings with our keys: our own packages stay out of the server.
    "PYTHONPATH": str(Path(annotation.__file__).parent / "label_studio_page"),
    "PYTHONHOME": "",
    "PYTHONNOUSERSITE": "1",
    "PYTHONWARNINGS": "ignore",
    # It also reads plain names such as DEBUG or DJANGO_DB, which may be meant for others.
    "DJANGO_SETTINGS_MODULE": "review_page",
    "LABEL_STUDIO_DEBUG": "false",
    "LABEL_STUDIO_DJANGO_DB": "sqlite",
    "LABEL_STUDIO_HOST": "",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
}
MIGRATE = """
import pathlib, sys, label_studio
sys.path.insert(0, str(pathlib.Path(label_studio.__file__).parent))
import django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
"""
"""Makes the tables; its modules import each other as if its own folder were on the path."""


def label_studio_service(settings: Settings) -> Service:
    """Return how to run the server; makes its login when there is none.

    A StoreError where the program is not installed, a ReviewError where the login cannot be used.
    """
    home = settings.paths.home.absolute()
    program = settings.label_studio.command or (
        Path(flows.__file__).parent.parent / ".venv-label-studio" / "bin" / "label-studio"
    )
    if not os.access(program, os.X_OK):
        raise StoreError(
            f"label-studio: no program at {program}; expected the one that `make up` installs; run "
            "`make up`, or set label_studio.managed=false to review without a browser"
        )
    url = f"http://127.0.0.1:{settings.label_studio.port}"
    login = _login(home, url)
    data = login_path(home).parent
    empty = program.parent.parent / EMPTY
    if empty.exists() and not (data / DATABASE).exists():
        write_atomically(data / DATABASE, empty.read_bytes())
    return Service(
        name="label-studio",
        command=(str(program), *OPTIONS, str(settings.label_studio.port)),
        healthy=partial(is_ours, login),
        log=data / "server.log",
        url=url,
        port=settings.label_studio.port,
        port_setting="label_studio.port",
        environment=SERVER
        | {
            # Pages of others get no answer, nor does a name that points at this machine.
            "LABEL_STUDIO_CORS_ALLOWED_ORIGINS": url,
            "LABEL_STUDIO_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "LABEL_STUDIO_BASE_DATA_DIR": str(data),
            "LABEL_STUDIO_DATABASE_NAME": str(data / DATABASE),
            "LABEL_STUDIO_USERNAME": login.username,
            "LABEL_STUDIO_PASSWORD": login.password,
            "LABEL_STUDIO_USER_TOKEN": login.token,
        },
        start_seconds=240.0,  # without the empty database it makes one: a minute, when quiet
    )


def is_ours(login: Login) -> bool:
    """Return whether the server answers and knows our token; a stranger's on the port does not."""
    try:
        with httpx.Client(base_url=login.url, timeout=HEALTH_SECONDS, trust_env=False) as client:
            token = {"Authorization": f"Token {login.token}"}
            me = client.get("/api/current-user/whoami", headers=token)
        return me.status_code == httpx.codes.OK and me.json().get("email") == login.username
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def _login(home: Path, url: str) -> Login:
    """Return the stored login, at this address; make one for the first start."""
    login = read_login(home)
    if login is not None and login.url == url:
        return login
    path = login_path(home)
    if login is not None:
        login = login.model_copy(update={"url": url})
    else:
        # A token counts only for a user who is new: a database that outlived its login gets a
        # further user rather than one whose token nobody knows.
        known = (path.parent / DATABASE).exists()
        name = f"tuneloop-{secrets.token_hex(3)}" if known else "tuneloop"
        password, token = secrets.token_urlsafe(15), secrets.token_hex(20)
        login = Login(url=url, username=f"{name}@localhost", password=password, token=token)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_atomically(path, (login.model_dump_json(indent=2) + "\n").encode(), mode=0o600)
    return login


def make_empty_database(environment: Path) -> None:
    """Make the database that first starts begin with: its tables alone, no user and no key."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / DATABASE
        files = {"LABEL_STUDIO_BASE_DATA_DIR": folder, "LABEL_STUDIO_DATABASE_NAME": str(made)}
        command = [str(environment / "bin" / "python"), "-c", MIGRATE]
        own = os.environ | SERVER | files
        subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=True)
        write_atomically(environment / EMPTY, made.read_bytes())


if __name__ == "__main__":
    make_empty_database(Path(sys.argv[1]).absolute())

"""The process of our Prefect server; and the database that first starts begin with.

It imports little of ours: half a second of each command that waits for it.
"""

import asyncio
import gc
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from flows.engine import environment
from pipeline.core.cache import write_atomically

EMPTY = Path(sys.prefix) / "empty-prefect.db"
"""A database of tables alone, which first starts begin with: making one takes 11 s."""
SERVER = {
    # In memory, slots that were taken when the server was killed would stay taken for ever.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The newer pages ask amplitude.com for a configuration, whatever the settings say.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
}
"""Environment of the server alone."""
NAMES = ("127.0.0.1", "localhost")  # of this machine, as a browser may be told them


def _serve(port: int) -> None:
    pages = [f"http://{name}:{port}" for name in NAMES]
    os.environ.setdefault("PREFECT_UI_API_URL", f"{pages[0]}/api")
    os.environ.setdefault("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", ",".join(pages))
    for name, value in SERVER.items():
        os.environ.setdefault(name, value)
    database = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    if EMPTY.exists() and not database.exists():
        write_atomically(database, EMPTY.read_bytes())
    gc.disable()  # until all is imported, which takes most of the start
    import uvicorn
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # Its pages are unpacked beside the package, for all who use this installation.
    umask = os.umask(0o022)
    app = create_app()
    os.umask(umask)
    gc.enable()
    # A name that somebody lets point at 127.0.0.1 would make their page one of ours.
    ours = TrustedHostMiddleware(app, allowed_hosts=NAMES)
    uvicorn.run(ours, host="127.0.0.1", port=port, log_level="error")


def make_empty_database() -> None:
    """Make the database that first starts begin with."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = folder
        environment.prepare(Path(folder))
        from prefect.server.database import provide_database_interface

        asyncio.run(provide_database_interface().create_db())
        made = Path(folder) / "made.db"
        with closing(sqlite3.connect(Path(folder) / "prefect.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(made),))
        write_atomically(EMPTY, made.read_bytes())


if __name__ == "__main__":
    if sys.argv[1:] == ["empty"]:
        make_empty_database()
    else:
        _serve(int(sys.argv[1]))

"""Label Studio over its SDK: few calls, and errors that a person can act on."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from annotation.label_studio_connection import Connection
from pipeline.core.errors import ReviewError
from pipeline.core.journal import write_time

PAGE = 500  # tasks in one answer: a second here, annotations included


class Passing(ReviewError):
    """The server did not answer as it does when it is well; the next attempt may succeed."""


class Gone(ReviewError):
    """What was asked for is not on the server."""


class Server:
    """A Label Studio server; raises :class:`Passing` while it fails, :class:`Gone` for a task."""

    def __init__(self, connection: Connection, timeout_seconds: float) -> None:
        self.url = connection.url
        self._connection = connection
        self._timeout = timeout_seconds
        self._http: httpx.Client | None = None
        self._sdk: Any = None  # its types do not fit the answers in all places

    def close(self) -> None:
        """Give the connection back; the next call opens another."""
        if self._http is not None:
            self._http.close()
        self._http = self._sdk = None

    def find_project(self, marker: str, known: int = 0) -> Any:
        """Return the project with the marker in its description: that of a known id, any, None."""
        with self.asking() as sdk:
            projects = list(sdk.projects.list(page_size=100))
            marked = [project for project in projects if marker in (project.description or "")]
            return min(marked, key=lambda project: project.id != known, default=None)

    def delete_task(self, task: int) -> None:
        """Delete a task and its annotations; one that is gone already is no error."""
        with contextlib.suppress(Gone), self.asking() as sdk:
            sdk.tasks.delete(str(task))

    def tasks(self, project: int, since: datetime | None = None) -> Iterator[dict[str, Any]]:
        """Yield tasks by id as the server holds them, of those updated ``since`` then or later."""
        last = 0
        # By id rather than by page: a task deleted meanwhile would move another one out of sight.
        while True:
            items: list[dict[str, Any]] = [_filter("id", "greater", "Number", last)]
            if since is not None:
                value = write_time(since)
                items.append(_filter("updated_at", "greater_or_equal", "Datetime", value))
            filters = {"conjunction": "and", "items": items}
            query = {"filters": filters, "ordering": ["tasks:id"]}
            with self.asking() as sdk:
                page = sdk.tasks.list(
                    project=project,
                    page=1,
                    page_size=PAGE,
                    query=json.dumps(query),
                    resolve_uri=False,
                    fields="all",
                )
                rows = [task.dict() for task in page.items or []]
                answers = [answer for row in rows for answer in row.get("annotations") or ()]
                if not all(isinstance(row.get("id"), int) for row in [*rows, *answers]):
                    raise ValueError("a task or an annotation without its id")
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1]["id"]

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """Give the block the SDK's client; what goes wrong is said as a person can act on it."""
        from label_studio_sdk import LabelStudio
        from label_studio_sdk.core.api_error import ApiError
        from label_studio_sdk.core.parse_error import ParsingError

        try:
            if self._sdk is None:
                self._http = self._connection.client(self._timeout)
                sdk: Any = LabelStudio(  # type: ignore[no-untyped-call]
                    base_url=self.url,
                    api_key=self._connection.key,
                    httpx_client=self._http,
                    timeout=self._timeout,
                    max_retries=1,
                )
                if not getattr(sdk.users.whoami(), "email", None):
                    raise self._no_label_studio("an answer without a user")
                self._sdk = sdk
            yield self._sdk
        except httpx.TimeoutException as error:
            raise Passing(
                f"label studio at {self.url}: no answer in {self._timeout:g} s; expected one; look "
                "at the server's log, or raise label_studio.timeout_seconds; the next run catches "
                "up"
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise ReviewError(
                f"label_studio.url: {self.url!r} found; expected a URL such as "
                "http://127.0.0.1:8080; correct it"
            ) from error
        except httpx.HTTPError as error:
            raise Passing(
                f"label studio at {self.url}: no answer ({error or type(error).__name__}); "
                "expected a running server; start it (`tuneloop up` starts ours), or correct "
                "label_studio.url; nothing is lost, the next run catches up"
            ) from error
        except ApiError as error:
            raise self._refusal(error.status_code or 0, error.body) from error
        except (ValueError, TypeError, AttributeError, ParsingError) as error:
            raise self._no_label_studio(f"an answer that cannot be read ({error})") from error

    def _refusal(self, status: int, body: Any) -> ReviewError:
        words = body
        if isinstance(body, dict):
            words = body.get("validation_errors") or body.get("detail") or body
        if not isinstance(words, str):
            words = json.dumps(words, ensure_ascii=False, default=str)
        at, said = f"label studio at {self.url}", f"HTTP {status}: {self._safe(words)}"
        if status in (401, 403):
            return ReviewError(
                f"{at}: the key was refused ({said}); expected the legacy or personal access token "
                f"of a user there; correct it in {self._connection.source}"
            )
        if status in (408, 409, 429) or status >= 500:
            return Passing(
                f"{at}: {said}; expected an answer; look at the server's log; nothing is lost, the "
                "next run catches up"
            )
        if not isinstance(body, dict | list) or status < 400:
            return self._no_label_studio(f"HTTP {status} without JSON")
        if status == 404:
            return Gone(
                f"{at}: {said}; expected what was stored there before; check label_studio.url"
            )
        return ReviewError(f"{at}: {said}; expected it to take the request; correct what it names")

    def _no_label_studio(self, found: str) -> ReviewError:
        return ReviewError(
            f"label studio at {self.url}: {self._safe(found)}; expected Label Studio's own answer; "
            "correct label_studio.url: something else seems to be there"
        )

    def _safe(self, text: str) -> str:
        return " ".join(text.replace(self._connection.key, "(key)").split())[:300]


def _filter(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    name = f"filter:tasks:{column}"
    return {"filter": name, "operator": operator, "type": kind, "value": value}

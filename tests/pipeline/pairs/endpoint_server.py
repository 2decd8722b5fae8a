"""A real HTTP server that speaks the chat completions protocol as a script tells it."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def chat(*texts: Any, finish: str | None = "stop", **message: Any) -> Answer:
    """Reply with texts; further fields of the message by name."""
    choices = [{"message": {"content": text} | message, "finish_reason": finish} for text in texts]
    usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(texts)}
    return Answer(body=json.dumps({"choices": choices, "usage": usage}).encode())


def error(status: int, message: str, **fields: Any) -> Answer:
    """Fail with a message as OpenAI does; further fields of the error by name."""
    return Answer(status, json.dumps({"error": {"message": message} | fields}).encode())


@dataclass
class Server:
    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0


class Patient(ThreadingHTTPServer):
    request_queue_size = 256  # five, its own, reset what more connect at once


@contextmanager
def serving(script: Callable[[int, dict[str, Any]], Answer]) -> Iterator[Server]:
    """Answer request number n (from 0) with ``script(n, body)``."""
    lock = threading.Lock()
    at_once = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal at_once
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.bodies)
                server.bodies.append(body)
                server.headers.append(dict(self.headers))
                at_once += 1
                server.most_at_once = max(server.most_at_once, at_once)
            answer = script(number, body)
            time.sleep(answer.delay)
            with lock:
                at_once -= 1
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up: a test of timeouts

        def log_message(self, *args: Any) -> None:
            pass

    http = Patient(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def teach(number: int, body: dict[str, Any]) -> Answer:
    """Ask about each sentence of the text, and answer with the sentence."""
    prompt = body["messages"][-1]["content"]
    text = re.search(r"<<<TEXT\n(.*?)\nTEXT>>>", prompt, re.DOTALL)
    if text is None:
        return chat("Sort the spare parts by their size.\nInput: <none>")
    found = [line for line in text[1].splitlines() if re.match(r"[A-Z].{30,}\.$", line)]
    found = [part for line in found for part in re.split(r"(?<=\.) ", line) if len(part) > 30]
    if "Question: " in prompt:
        asked = prompt.rsplit("Question: ", 1)[1]
        return chat(next((line for line in found if _begin(line) in asked), "NOT ANSWERABLE"))
    return chat("\n".join(f"What holds when one reads of {_begin(line)}?" for line in found) or "-")


def _begin(line: str) -> str:
    return " ".join(line.split()[:5])

"""Real servers of chat completions, and a proxy before one that does what bad networks do."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

LLAMA_CPP = """
import sys, time
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 8192, 4, 1
server = xllamacpp.Server(params)
while True:
    time.sleep(60)
"""


@contextmanager
def _started(command: list[str], port: int, path: str) -> Iterator[str]:
    """Start a server and give its address once it answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                if httpx.get(url + path, timeout=5).is_success:
                    break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def llama_cpp(gguf: Path) -> Iterator[str]:
    """llama.cpp's own server, out of the wheel xllamacpp."""
    port = _free_port()
    with _started([sys.executable, "-c", LLAMA_CPP, str(gguf), str(port)], port, "/health") as url:
        yield url


@contextmanager
def transformers_serve(model: Path) -> Iterator[str]:
    """The server that comes with transformers."""
    port = _free_port()
    program = str(Path(sys.executable).with_name("transformers"))
    words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with _started([program, *words], port, "/health") as url:
        yield url


class Misbehaving:
    """A proxy that spoils every third request in a way of its own, each request once."""

    WAYS = ("429", "500", "cut", "truncated", "page", "no seed", "hang")

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.served: Counter[str] = Counter()
        """Whole replies by the last words of the request."""
        self.spoilt: Counter[str] = Counter()
        self._upstream, self._lock = upstream, threading.Lock()
        self._seen: set[str] = set()

    def _way(self, body: dict) -> str:
        prompt = body["messages"][-1]["content"]
        with self._lock:
            first = prompt not in self._seen
            self._seen.add(prompt)
            number = len(self._seen)
        way = self.WAYS[number // 3 % len(self.WAYS)] if number % 3 == 0 and first else ""
        late = way == "hang" and self.spoilt["hang"] > 2  # each takes its time
        return "" if late or (way == "no seed" and "seed" not in body) else way

    @contextmanager
    def running(self) -> Iterator["Misbehaving"]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(raw)
                way = proxy._way(body)
                with proxy._lock:
                    proxy.spoilt[way] += bool(way)
                if way in ("429", "500"):
                    return self._say(int(way), b'{"error": {"message": "later"}}')
                if way == "no seed":
                    words = b'{"error": {"message": "seed is not supported", "param": "seed"}}'
                    return self._say(400, words)
                if way == "page":
                    return self._say(200, b"<html>Bad gateway</html>", "text/html")
                if way == "hang":
                    time.sleep(31)
                    return None
                answer = httpx.post(
                    f"{proxy._upstream}/chat/completions", content=raw, timeout=120,
                    headers={"Content-Type": "application/json"},
                )  # fmt: skip
                if way == "cut":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content[:20])
                    return self.connection.close()
                if way == "truncated":
                    return self._say(200, answer.content[: len(answer.content) // 2])
                with proxy._lock:
                    proxy.served[body["messages"][-1]["content"]] += answer.is_success
                return self._say(answer.status_code, answer.content)

            def _say(self, status: int, content: bytes, kind: str = "application/json") -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the client gave up

            def log_message(self, *args: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            http.shutdown()
            thread.join()
            http.server_close()

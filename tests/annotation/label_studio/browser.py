"""A page of headless Chromium, driven over its DevTools protocol."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
CONTROL, SHIFT = 2, 8


class Page:
    """What a person does on a page: go somewhere, press keys, type, click, look."""

    def __init__(self, socket):
        self._socket = socket
        self._number = 0

    def call(self, method, **parameters):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def see(self, script):
        """Return the value of an expression; None when it cannot be had."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value") if "exceptionDetails" not in found else None

    def wait_for(self, script, seconds=60):
        end = time.monotonic() + seconds
        while not self.see(script):
            assert time.monotonic() < end, script
            time.sleep(0.1)

    def key(self, key, modifiers=0):
        code = CODES.get(key) or ord(key.upper())
        text = "" if modifiers & CONTROL else {"Enter": "\r", "Escape": "", "Tab": ""}.get(key, key)
        event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        kind = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=kind, text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)
        time.sleep(0.3)  # until the page has drawn what follows

    def type(self, text):
        self.call("Input.insertText", text=text)

    def click(self, selector):
        assert self.see(f"document.querySelector({selector!r})?.click(), true")
        time.sleep(0.3)


@contextmanager
def chromium(folder: Path):
    """Start Chromium with a profile of its own, and yield its page."""
    process = subprocess.Popen(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        active = folder / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not active.exists() or "\n" not in active.read_text():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        url = f"http://127.0.0.1:{active.read_text().split()[0]}/json"
        (address,) = [
            target["webSocketDebuggerUrl"]
            for target in httpx.get(url, trust_env=False).json()
            if target["type"] == "page"
        ]
        with connect(address, max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(30)

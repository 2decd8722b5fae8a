"""The page at ``/`` in headless Chromium: ask, see sources, thumbs."""

import base64
import json
import os
from pathlib import Path

import pytest

from tests.annotation.label_studio.browser import CHROMIUM, chromium
from tests.flows.gateway.conftest import LAMP, serving
from tests.flows.gateway.test_serve import exchanges

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

TEXT = "document.querySelector({!r})?.textContent"
DONE = (
    "document.querySelectorAll('.turn').length === {} && !document.getElementById('send').disabled"
)


def look(page, name):
    """Keep a picture where TUNELOOP_PICTURES says, for a person to look at."""
    if folder := os.environ.get("TUNELOOP_PICTURES"):
        picture = page.call("Page.captureScreenshot", format="png")["data"]
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(picture))


def ask(page, question, count):
    page.see("document.getElementById('question').focus()")
    page.type(question)
    page.key("Enter")
    page.wait_for(DONE.format(count))


def test_one_asks_sees_sources_and_rates(gateway, tmp_path):
    with chromium(tmp_path / "profile") as page:
        page.call("Page.navigate", url=gateway.url)
        page.wait_for("document.readyState === 'complete'")
        # What a page may load or run besides would be an error here.
        page.see(
            "window.broken = []; addEventListener('securitypolicyviolation',"
            " event => broken.push(event.violatedDirective))"
        )
        ask(page, "What does the <i>signal lamp</i> do?", 1)
        assert page.see(TEXT.format(".question")) == "What does the <i>signal lamp</i> do?"
        answer = page.see(TEXT.format(".answer"))
        assert answer and page.see("document.querySelectorAll('i, b').length") == 0
        assert page.see(TEXT.format("summary")) == "Source: <b>Lamp</b> > Use — lamp.md"
        page.click("summary")
        assert page.see(TEXT.format(".text")) == LAMP
        page.click("button[aria-label='bad answer']")
        page.wait_for("document.querySelector('[aria-pressed=true]')?.textContent === '👎 bad'")
        page.see("document.querySelector('.turn').scrollIntoView({ block: 'nearest' })")
        look(page, "asked")
        ask(page, "And the pump?", 2)
        page.call("Emulation.setEmulatedMedia", features=[DARK])
        look(page, "asked-dark")
        assert page.see("broken") is None or page.see("broken.length") == 0
        page.click("#anew")
        assert page.see("document.querySelectorAll('.turn').length") == 0
    *_, first, rating, second = exchanges(gateway)
    assert (rating["rates"], rating["rating"]) == (first["id"], -1)
    assert first["response"] == answer
    assert second["history"] == [
        {"role": "user", "content": first["prompt"]},
        {"role": "assistant", "content": answer},
    ]


DARK = {"name": "prefers-color-scheme", "value": "dark"}


def test_the_page_asks_for_the_key_and_says_what_is_wrong(champions, tiny_base, tmp_path):
    key = {"TUNELOOP_SERVE_KEY": "s3cret"}
    own = ("serve.max_tokens=2",)
    with (
        serving(champions[0], tiny_base.path, tmp_path, *own, **key) as gateway,
        chromium(tmp_path / "profile") as page,
    ):
        page.call("Page.navigate", url=gateway.url)
        page.wait_for("!document.getElementById('locked').hidden")
        ask(page, "What?", 1)
        assert "none found; expected the server's own" in page.see(TEXT.format(".error"))
        look(page, "locked")
        page.see("document.getElementById('key').value = 's3cret'")
        ask(page, "What?", 2)
        assert page.see("document.querySelectorAll('.answer')[1].textContent")
        assert page.see("document.querySelectorAll('.rating').length") == 0, "nothing is logged"
        # Nothing of it stays in the browser.
        stored = page.see(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        assert json.loads(stored) == [{}, {}, ""]

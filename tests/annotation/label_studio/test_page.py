"""The review form in a real browser: keys alone are enough, an edit must change something."""

import re

import httpx
import pytest

from annotation.items import to_items
from tests.annotation.conftest import make_pairs
from tests.annotation.label_studio.browser import CHROMIUM, CONTROL, SHIFT, chromium
from tests.annotation.label_studio.conftest import project_of

VERDICT = "Htx.annotationStore.selected.names.get('verdict').selectedValues().flat().join()"
IN_THE_BOX = "document.activeElement.name == 'edited_response'"
WARNING = "document.querySelector('.ant-modal-confirm')?.innerText"
REFUSED = f"{WARNING}?.includes('The edit changes nothing')"
EDITING = f"{VERDICT} == 'edit' && {IN_THE_BOX}"
SUBMIT = "[data-testid=bottombar-submit-button]"


class Sitting:
    """A reviewer before the tasks of a project, and what the server holds of them."""

    def __init__(self, page, server, ann, tasks):
        self.page, self._server, self._ann, self._tasks = page, server, ann, tasks

    def answers(self):
        """Return each pair's answers by control, in the order of the tasks."""
        return [
            [
                {row["from_name"]: next(iter(row["value"].values())) for row in given["result"]}
                for given in self._ann.call("GET", f"/api/tasks/{task}/annotations/")
            ]
            for task in self._tasks
        ]

    def skips(self):
        """Return how often each task was skipped."""
        tasks = (self._ann.call("GET", f"/api/tasks/{task}/") for task in self._tasks)
        return [task["cancelled_annotations"] for task in tasks]

    def submit(self, *keys):
        """Press the keys that submit, and wait for the next task."""
        before = self.page.see("Htx.task.id")
        self.page.key(*(keys or ("Enter", CONTROL)))
        self.page.wait_for(f"window.Htx?.task?.id != {before} && !!Htx.annotationStore.selected")


@pytest.fixture
def sitting(queue, server, chunks, ids, ann, project_tasks, tmp_path):
    """The labelling page of a new project, with the guidelines still open."""
    queue.push(to_items(make_pairs(5), chunks))
    tasks = [project_tasks(queue)[pair_id][0] for pair_id in ids[:5]]
    with chromium(tmp_path / "profile") as page:
        login = server.login
        page.call("Page.navigate", url=f"{login.url}/user/login")
        page.wait_for("!!document.querySelector('input[name=password]')")
        page.see(
            f"document.querySelector('input[name=email]').value = {login.username!r};"
            f"document.querySelector('input[name=password]').value = {login.password!r};"
            "document.querySelector('form').submit()"
        )
        page.wait_for("location.pathname != '/user/login'")
        page.call(
            "Page.navigate", url=f"{queue._server.url}/projects/{project_of(queue)}/data?labeling=1"
        )
        page.wait_for("!!window.Htx?.annotationStore?.selected")
        page.wait_for("!!document.querySelector('[class*=modal-ls__wrapper]')")
        yield Sitting(page, server, ann, tasks)


def test_the_pages_of_our_server_have_the_keys(server):
    login = server.login
    with httpx.Client(base_url=login.url, trust_env=False, follow_redirects=True) as browser:
        page = browser.get("/user/login").text
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {"email": login.username, "password": login.password, "csrfmiddlewaretoken": secret}
        assert "The edit changes nothing" in browser.post("/user/login", data=form).text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_reviewing_works_by_keys_alone_and_an_edit_must_change_something(sitting):
    page = sitting.page
    for keys in (("a",), ("Enter", CONTROL), (" ", CONTROL)):  # behind the guidelines
        page.key(*keys)
    assert page.see(VERDICT) == ""
    page.key("Escape")
    page.wait_for("!document.querySelector('[class*=modal-ls__wrapper]')")

    page.key("e")
    page.wait_for(EDITING)
    page.key("Enter", CONTROL)
    page.wait_for(REFUSED)
    page.key("Enter")
    page.wait_for(f"!({WARNING}) && {IN_THE_BOX}")
    page.type(" At most")
    page.key("Enter")
    page.type("1 bar more.")
    page.key("Tab", SHIFT)
    page.wait_for("document.activeElement.name == 'edited_instruction'")
    page.type(" Answer in bar.")
    sitting.submit()

    page.key("e")
    page.wait_for(EDITING)
    page.key("Enter", SHIFT)  # Label Studio's own way to end an edit
    page.key("Enter", CONTROL)
    page.wait_for(REFUSED)
    page.key("Enter")
    page.wait_for(f"!({WARNING})")
    page.key("e")
    page.wait_for(EDITING)
    page.click(SUBMIT)
    page.wait_for(REFUSED)
    page.key("Enter")
    page.wait_for(f"!({WARNING}) && {IN_THE_BOX}")
    page.key("Escape")
    page.key("r")
    page.key("2")
    page.wait_for(f"{VERDICT} == 'reject'")
    sitting.submit()

    page.key("e")
    page.wait_for(EDITING)
    sitting.submit(" ", CONTROL)
    page.key("a")
    page.see("document.querySelector('input[name=note]').focus()")
    page.type("Fine.")
    sitting.submit()

    edit, reject, skip, accept, untouched = sitting.answers()
    assert edit == [
        {
            "verdict": ["edit"],
            "edited_instruction": ["How much pressure, case 0? Answer in bar."],
            "edited_response": ["The pump holds 6 bar in case 0. At most\n1 bar more."],
        }
    ]
    assert reject == [{"verdict": ["reject"], "flags": ["wrong"]}]
    assert skip == [] and sitting.skips() == [0, 0, 1, 0, 0]
    assert accept == [{"verdict": ["accept"], "note": ["Fine."]}]
    assert untouched == []

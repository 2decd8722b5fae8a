import itertools
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import InputError, StoreError
from pipeline.documents.files.files import SourceFile, scan
from pipeline.settings import IngestSettings


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    (root / "deep" / "er").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "b.md").write_text("bee")
    (root / "a.txt").write_text("ay")
    (root / "deep" / "er" / "c.md").write_text("see")
    (root / ".hidden.md").write_text("no")
    (root / ".git" / "x.md").write_text("no")
    return root


def sources(files: list[SourceFile]) -> list[str]:
    return [file.source for file in files]


def test_files_of_all_folders_come_sorted_and_hidden_ones_do_not(inbox: Path, tmp_path: Path):
    assert sources(scan(inbox, IngestSettings(), tmp_path / "i")) == [
        "a.txt",
        "b.md",
        "deep/er/c.md",
    ]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("**/*.md",), (), [".git/x.md", ".hidden.md", "b.md", "deep/er/c.md"]),
        (("*.md",), ("**/.*",), ["b.md"]),
        (("**/*",), ("**/.*", "**/.*/**", "deep/**"), ["a.txt", "b.md"]),
        (("**/[ab].*",), (), ["a.txt", "b.md"]),
        (("**/[!a].??",), ("**/.*/**",), ["b.md", "deep/er/c.md"]),
    ],
)
def test_globs_choose_and_exclude_wins(
    inbox: Path, tmp_path: Path, include: tuple[str], exclude: tuple[str], expected: list[str]
):
    settings = IngestSettings(include=include, exclude=exclude)
    assert sources(scan(inbox, settings, tmp_path / "i")) == expected


def test_an_unchanged_file_is_not_opened_again(inbox: Path, tmp_path: Path):
    before = scan(inbox, IngestSettings(), tmp_path / "i")
    file = inbox / "b.md"
    status = file.stat()
    file.write_text("eeb")  # other content, same size and time: only opening it would tell
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert scan(inbox, IngestSettings(), tmp_path / "i") == before
    os.utime(file)
    assert scan(inbox, IngestSettings(), tmp_path / "i") != before


def test_a_file_that_has_left_is_kept_or_forgotten_as_the_setting_says(inbox: Path, tmp_path: Path):
    index = tmp_path / "i"
    was = {file.source: file for file in scan(inbox, IngestSettings(), index)}
    (inbox / "b.md").unlink()
    kept = {file.source: file for file in scan(inbox, IngestSettings(), index)}
    assert kept["b.md"] == SourceFile("b.md", None, was["b.md"].sha256, 3)
    assert "b.md" not in sources(scan(inbox, IngestSettings(missing_files="drop"), index))
    assert "b.md" not in sources(scan(inbox, IngestSettings(), index)), "drop has forgotten it"


def test_an_emptied_inbox_and_a_vanished_root_still_give_their_files(inbox: Path, tmp_path: Path):
    index = tmp_path / "i"
    scan(inbox, IngestSettings(), index)
    shutil.rmtree(inbox)
    inbox.mkdir()
    assert [file.path for file in scan(inbox, IngestSettings(), index)] == [None] * 3
    other = tmp_path / "other"
    other.mkdir()
    (other / "new.md").write_text("new")
    shutil.rmtree(inbox)
    assert sources(scan(other, IngestSettings(), index)) == [
        "a.txt",
        "b.md",
        "deep/er/c.md",
        "new.md",
    ]


def test_excluding_a_file_takes_it_out_even_when_it_is_gone(inbox: Path, tmp_path: Path):
    index = tmp_path / "i"
    scan(inbox, IngestSettings(), index)
    (inbox / "b.md").unlink()
    without = IngestSettings(exclude=("b.md", "**/.*", "**/.*/**"))
    assert sources(scan(inbox, without, index)) == ["a.txt", "deep/er/c.md"]
    assert "b.md" in sources(scan(inbox, IngestSettings(), index)), "excluded is not forgotten"


def test_links_circles_pipes_and_sockets_are_named_and_never_opened(inbox: Path, tmp_path: Path):
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "aside").mkdir()
    (inbox / "out.md").symlink_to(tmp_path / "secret.md")
    (inbox / "out").symlink_to(tmp_path / "aside")
    (inbox / "in.md").symlink_to(inbox / "b.md")
    (inbox / "loop").symlink_to(inbox)
    (inbox / "circle.md").symlink_to(inbox / "circle.md")
    (inbox / "dangling.md").symlink_to(inbox / "nothing.md")
    (inbox / "device.md").symlink_to("/dev/zero")
    os.mkfifo(inbox / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(inbox / "socket.md"))
    found = {
        file.source: file.problem and file.problem.reason
        for file in scan(inbox, IngestSettings(), tmp_path / "i")
    }
    assert found == {
        "a.txt": None,
        "b.md": None,
        "deep/er/c.md": None,
        "in.md": None,
        "out.md": "outside_folder",
        "out": "outside_folder",
        "device.md": "outside_folder",
        "loop": "not_a_file",
        "pipe.md": "not_a_file",
        "socket.md": "not_a_file",
        "circle.md": "broken_link",
        "dangling.md": "broken_link",
    }


def test_another_problem_or_size_is_another_corpus(inbox: Path, tmp_path: Path):
    def versions() -> list[list[str]]:
        settings = IngestSettings(max_file_megabytes=0.001)
        return [file.version for file in scan(inbox, settings, tmp_path / "i")]

    link = inbox / "link.md"
    link.symlink_to(inbox / "nothing.md")
    found = [versions()]
    link.unlink()
    link.symlink_to("/dev/zero")
    found.append(versions())
    for size in (2000, 3000):
        (inbox / "a.txt").write_text("x" * size)
        found.append(versions())
    assert all(one != other for one, other in itertools.combinations(found, 2))
    assert versions() == found[-1]


def test_a_file_above_the_limit_is_not_even_hashed(inbox: Path, tmp_path: Path):
    with (inbox / "vast.md").open("wb") as stream:
        stream.truncate(2**40)  # a tebibyte of nothing
    files = {file.source: file for file in scan(inbox, IngestSettings(), tmp_path / "i")}
    assert (files["vast.md"].sha256, files["vast.md"].size) == ("", 2**40)


def test_folders_in_folders_beyond_the_depth_of_recursion(inbox: Path, tmp_path: Path):
    depth = min(1500, (4000 - len(str(inbox))) // 2)
    deepest = inbox / ("d/" * depth)
    folders = [inbox / ("d/" * number) for number in range(1, depth + 1)]
    for folder in folders:
        folder.mkdir()
    try:
        (deepest / "end.md").write_text("text")
        assert "d/" * depth + "end.md" in sources(scan(inbox, IngestSettings(), tmp_path / "i"))
    finally:
        # From the bottom up, since pytest's own removal is recursive.
        (deepest / "end.md").unlink()
        for folder in reversed(folders):
            folder.rmdir()


def test_a_root_that_is_itself_a_link_is_read(inbox: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(inbox)
    assert len(scan(tmp_path / "link", IngestSettings(), tmp_path / "i")) == 3


def test_a_name_that_is_not_utf8_is_listed_readably(inbox: Path, tmp_path: Path):
    (inbox / os.fsdecode(b"caf\xe9.md")).write_text("latin")
    assert r"caf\xe9.md" in sources(scan(inbox, IngestSettings(), tmp_path / "i"))


@contextmanager
def unprivileged(root: Path) -> Iterator[None]:
    """Act as another user, since root may read everything."""
    privileged = os.geteuid() == 0
    root.chmod(0o777)
    if privileged:
        os.seteuid(65534)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


def test_closed_files_and_folders_are_named_and_tried_again():
    # Of its own, since pytest's folder is closed to other users.
    root = Path(tempfile.mkdtemp())
    try:
        (root / "in" / "folder").mkdir(parents=True)
        closed = root / "in" / "closed.md"
        closed.write_text("text")
        closed.chmod(0)
        (root / "in" / "folder").chmod(0)
        with unprivileged(root):
            folder, file = scan(root / "in", IngestSettings(), root / "i")[::-1]
        assert file.path is not None
        assert (file.sha256, file.problem.reason) == ("", "unreadable_file")
        assert (folder.source, folder.problem.reason) == ("folder", "unreadable_folder")
        closed.chmod(0o644)
        (root / "in" / "folder").chmod(0o755)
        [file] = scan(root / "in", IngestSettings(), root / "i")
        assert len(file.sha256) == 64 and file.problem is None
        (root / "in").chmod(0)
        with unprivileged(root), pytest.raises(InputError, match="expected a folder that you may"):
            scan(root / "in", IngestSettings(), root / "i")
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("make", ["missing", "file", "empty", "nothing matches"])
def test_no_input_is_one_clear_line(tmp_path: Path, make: str):
    root = tmp_path / "in"
    if make == "file":
        root.write_text("x")
    if make in ("empty", "nothing matches"):
        root.mkdir()
    if make == "nothing matches":
        (root / ".only-hidden").write_text("x")
    with pytest.raises(InputError, match=r"^input folder .*in: .*found.*; .*expected") as error:
        scan(root, IngestSettings(), tmp_path / "i")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["not json", "[]", '{"files": {"/r": {"a": 1}}}'])
def test_a_damaged_index_is_an_error_that_says_what_to_do(
    inbox: Path, tmp_path: Path, content: str
):
    (tmp_path / "i").write_text(content)
    with pytest.raises(StoreError, match="delete it"):
        scan(inbox, IngestSettings(), tmp_path / "i")
    assert (tmp_path / "i").read_text() == content, "it is left for a person to look at"


def test_the_index_holds_what_the_next_scan_needs(inbox: Path, tmp_path: Path):
    scan(inbox, IngestSettings(), tmp_path / "i")
    entries = json.loads((tmp_path / "i").read_text())["files"][str(inbox)]
    assert entries["b.md"][:2] == [3, (inbox / "b.md").stat().st_mtime_ns]


def test_scripts_of_web_pages_are_named_and_code_in_other_folders_is_read(tmp_path: Path):
    names = ("site/index.HTML", "site/js/menu.js", "site/search_index.json", "site/prices.json")
    for name in (*names, "code/pump.js", "code/search.json", "site/tool.py"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    files = scan(tmp_path / "in", IngestSettings(), tmp_path / "index.json")
    named = {file.source for file in files if file.problem and file.problem.reason == "site_script"}
    assert named == {"site/js/menu.js", "site/search_index.json"}

"""Documents of a bucket: read where they lie, from a real S3 server on this machine."""

import time
from pathlib import Path

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import InputError
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.documents.files.remote import list_objects
from pipeline.settings import IngestSettings, PathSettings
from tests.pipeline.documents import making
from tests.pipeline.documents.test_ingest import fill
from tests.s3_server import BUCKET, client, s3_server

ROOT = f"s3://{BUCKET}/docs"


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    log = tmp_path_factory.mktemp("s3") / "log"
    with s3_server(log):
        made = client()
        list_objects(f"s3://{BUCKET}")  # starts threads that serve all stores of the process
        made.log = log
        yield made


@pytest.fixture
def bucket(s3, tmp_path: Path) -> Path:
    """The same files in a folder and in the bucket; returns the folder."""
    for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    root = fill(tmp_path / "in")
    for path in root.rglob("*"):
        if path.is_file():
            put(s3, path.relative_to(root).as_posix(), path.read_bytes())
    return root


def put(s3, name: str, data: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"docs/{name}", Body=data)


def downloads(s3) -> int:
    return s3.log.read_text().count(f'"GET /{BUCKET}/docs/')


def test_a_bucket_gives_what_a_folder_gives_and_is_downloaded_once(s3, bucket, tmp_path):
    settings = IngestSettings(max_file_megabytes=4)
    here = making.read(bucket, tmp_path / "here", settings)
    before = downloads(s3)
    there = making.read(ROOT, tmp_path / "there", settings)
    assert there.kept.equals(here.kept) and there.dropped.equals(here.dropped)
    assert there.dropped.filter(reason="too_large").height == 1
    read = downloads(s3) - before
    assert there.metrics["files_read"] == here.metrics["files_read"] + 1, "a copy is read as well"
    assert read == there.metrics["files_read"] - 1, "an empty file is not asked for"
    again = making.read(f"{ROOT}/", tmp_path / "there", settings)
    assert again.kept.equals(here.kept) and again.dropped.equals(here.dropped)
    assert (again.metrics["files_read"], downloads(s3) - before) == (0, read)


def test_globs_choose_objects_and_folders_that_are_objects_are_none(s3, bucket, tmp_path):
    put(s3, "b/", b"")
    put(s3, ".git/notes.md", b"text")
    put(s3, "odd %20+&=#é/ü.md", b"text")
    settings = IngestSettings(include=("**/*.md",), exclude=("**/.*", "**/.*/**", "n.md"))
    sources = [file.source for file in scan(ROOT, settings, tmp_path / "index.json")]
    assert sources == ["a.md", "h.md", "j.md", "l.md", "odd %20+&=#é/ü.md"]
    outcome = making.read(ROOT, tmp_path, settings)
    assert "odd %20+&=#é/ü.md" in outcome.kept["source"].to_list()


def test_a_changed_object_is_read_anew_and_one_that_left_is_remembered(s3, bucket, tmp_path):
    before = making.read(ROOT, tmp_path)
    put(s3, "a.md", b"# A\nother")
    s3.delete_object(Bucket=BUCKET, Key="docs/d.txt")
    kept = making.read(ROOT, tmp_path)
    assert (kept.metrics["files_read"], kept.metrics["files_gone"]) == (1, 1)
    assert kept.kept.filter(source="d.txt").equals(before.kept.filter(source="d.txt"))
    assert kept.kept.filter(source="a.md")["text"].to_list() == ["# A\nother"]
    dropped = making.read(ROOT, tmp_path, IngestSettings(missing_files="drop"))
    assert dropped.kept.filter(source="d.txt").height == 0


def test_what_changes_or_goes_between_listing_and_reading_has_its_reason(s3, bucket, tmp_path):
    settings = IngestSettings(include=("*.md",))
    files = scan(ROOT, settings, tmp_path / "index.json")
    put(s3, "a.md", b"# B\ntext")
    s3.delete_object(Bucket=BUCKET, Key="docs/l.md")
    outcome = ingest(files, settings, Cache(tmp_path / "cache"))
    found = dict(outcome.dropped.select("id", "reason").iter_rows())
    assert (found["a.md"], found["l.md"]) == ("changed_file", "unreadable_file")
    again = making.read(ROOT, tmp_path, settings)
    assert again.kept.filter(source="a.md")["text"].to_list() == ["# B\ntext"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://no-such-bucket/docs", "nothing there"),
        (f"s3://{BUCKET}/nothing", "0 files found"),
        (f"s3://{BUCKET}/docs/a.md", "a file found; expected a folder"),
        ("gs://bucket/docs", "run `pip install gcsfs`"),
        ("abfs://container/docs", "run `pip install adlfs`"),
        ("what://bucket/docs", "what:// is no kind of store"),
    ],
)
def test_an_address_that_leads_nowhere_says_so(s3, bucket, tmp_path, address, message):
    with pytest.raises(InputError, match=message):
        scan(address, IngestSettings(), tmp_path / "index.json")


def fresh() -> None:
    """Forget the connections of this process, which keep their credentials."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("names", "value", "message"),
    [
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), None, "credentials in the environment"),
        (("AWS_ENDPOINT_URL",), "http://127.0.0.1:9", "expected a store that answers"),
    ],
)
def test_credentials_and_endpoint_come_from_the_environment(
    s3, bucket, tmp_path, monkeypatch, names, value, message
):
    for name in names:
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    fresh()
    started = time.monotonic()
    with pytest.raises(InputError, match=message) as error:
        scan(ROOT, IngestSettings(), tmp_path / "index.json")
    assert "not-a-secret" not in str(error.value)
    assert time.monotonic() - started < 60
    monkeypatch.undo()
    fresh()


def test_a_store_that_refuses_says_what_to_set(tmp_path):
    fresh()
    with s3_server(tmp_path / "log", strict=True):
        with pytest.raises(InputError, match=r"refused .*AWS_ACCESS_KEY_ID") as error:
            scan(ROOT, IngestSettings(), tmp_path / "index.json")
        assert "not-a-secret" not in str(error.value)
    fresh()


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/docs", "abfs://c/docs?sig=abc"])
def test_an_address_with_a_secret_is_no_setting(address):
    with pytest.raises(ValueError, match="credentials come from the environment"):
        PathSettings(input=address)


def test_an_address_keeps_its_slashes_and_a_path_is_a_path():
    assert PathSettings(input="s3://bucket/docs").input == "s3://bucket/docs"
    assert PathSettings(input="docs").input == Path("docs")
    assert PathSettings(input="file:///docs").input == Path("/docs")
    assert PathSettings(input=Path("docs")).input == Path("docs")

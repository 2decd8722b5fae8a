"""The command line: help that teaches, one line for what a user can mend, the right exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from filelock import FileLock

from flows.cli.main import main
from flows.engine.project import set_in_file
from pipeline.core.manifest import Recipe
from pipeline.core.outcome import Outcome, drops, table
from pipeline.core.registry import Registry
from pipeline.core.store import Store
from schemas.pairs import Splits
from tests.pipeline.pairs.endpoint_server import chat, error, serving

ROOT = Path(__file__).parents[2]


def commands(group: click.Group, prefix: tuple[str, ...] = ()):
    for name, command in group.commands.items():
        yield (*prefix, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.mark.parametrize(("path", "command"), list(commands(main)), ids=lambda value: str(value))
def test_every_command_and_option_has_help(path, command):
    assert command.help, path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (path, parameter.name)
    assert CliRunner().invoke(main, [*path, "--help"]).exit_code == 0


def test_help_needs_no_heavy_import():
    """`tuneloop --help` loads neither torch nor Prefect nor polars."""
    code = (
        "import sys\nfrom flows.cli.main import main\n"
        "print([m for m in ('torch', 'prefect', 'polars', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("flows.cli.launch", {"prefect", "pandera", "scipy"}),  # the server starts behind it
        ("flows.services.prefect_process", {"prefect", "polars", "pydantic"}),
        ("flows.run", {"torch", "transformers", "sklearn", "scipy.stats"}),
    ],
)
def test_a_second_run_waits_for_no_import_that_it_does_not_need(module, heavy):
    code = f"import sys, {module}\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("words", ["run", "sweep", "tune", "monitor", "compare --methods lora"])
def test_a_command_imports_prefect_in_a_prepared_environment_only(words, tmp_path):
    """Imported before, it would write into the user's home and start a server of its own."""
    code = (
        "import sys\nfrom click.testing import CliRunner\n"
        "from flows.cli.main import main\nfrom flows.engine import environment\n"
        "environment.prepare = lambda *_: sys.exit(5 + ('prefect' in sys.modules))\n"
        "sys.exit(CliRunner().invoke(main, sys.argv[1:]).exit_code)"
    )
    given = [*words.split(), "--set", f"paths.home={tmp_path}"]
    assert subprocess.run([sys.executable, "-c", code, *given], check=False).returncode == 5


def run(*arguments: str):
    """Call the program in this process; returns exit code, stdout, stderr."""
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def assert_one_line(error: str, *parts: str) -> None:
    """The error is the one line that starts with the program's name; no traceback."""
    assert "Traceback" not in error
    lines = [line for line in error.splitlines() if line.startswith("tuneloop: ")]
    assert len(lines) == 1, error
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with its settings file, as `tuneloop init` makes it."""
    code, _, _ = run("init", str(tmp_path / "project"))
    assert code == 0
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def filled(project, tiny_base):
    """The project with three documents, which this process cleans, and a small base model."""
    set_in_file(project / "tuneloop.toml", "compute", {"runner": "inline"})
    set_in_file(project / "tuneloop.toml", "model", {"base_model": str(tiny_base.path)})
    for source in ("alarm-codes.md", "climate-zones.md", "relay-outputs.md"):
        shutil.copy(ROOT / "data/samples/manual" / source, project / "raw" / source)
    return project


def test_a_new_project_has_settings_that_load_when_every_line_is_uncommented(project):
    from flows.engine.settings_file import load_settings

    text = (project / "tuneloop.toml").read_text("utf-8")
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line
        for line in text.splitlines()
    ]
    (project / "all.toml").write_text("\n".join(lines), "utf-8")
    assert load_settings(project / "all.toml") == load_settings(project / "tuneloop.toml")


def test_init_never_overwrites(project):
    code, _, error = run("init", str(project))
    assert code == 2
    assert_one_line(error, "is there already")


def test_a_misspelt_setting_is_named_with_the_nearest_one(project):
    (project / "tuneloop.toml").write_text("[dedup]\ntreshold = 0.8\n", "utf-8")
    code, _, error = run("run")
    assert code == 2
    assert_one_line(error, "dedup.treshold is not a setting (did you mean threshold?)")
    assert not (project / "home").exists()


@pytest.mark.usefixtures("prefect")
class TestWithServer:
    """Errors found after the server is up."""

    def test_an_empty_folder_is_said(self, project):
        code, _, error = run("run")
        assert code == 2
        assert_one_line(error, "0 files", "raw")

    def test_a_folder_of_broken_files_names_the_reasons(self, project, tiny_base):
        (project / "raw" / "empty.md").write_bytes(b"")
        (project / "raw" / "binary.txt").write_bytes(bytes(range(256)) * 10)
        (project / "raw" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
        code, _, error = run("run", "--set", f"model.base_model={tiny_base.path}")
        assert code == 2
        assert_one_line(error, "empty_file 1", "binary_file 1", "unreadable_pdf 1")
        ledger = json.loads(run("show", "raw_documents", "--dropped", "--json")[1])["rows"]
        assert {row["id"].split("#")[0] for row in ledger} == {
            "empty.md",
            "binary.txt",
            "broken.pdf",
        }

    def test_documents_in_another_language_come_with_the_setting_that_takes_them(
        self, project, tiny_base
    ):
        own = ("--set", f"model.base_model={tiny_base.path}")
        german = "# Pumpe {0}\n\nDie Pumpe {0} fördert das Wasser aus dem Keller in den Tank."
        for number in range(3):
            text = german.format(number) + " Der Filter wird jeden Monat gereinigt.\n"
            (project / "raw" / f"{number}.md").write_text(text, "utf-8")
        code, _, error = run("curate", *own)
        assert code == 2
        assert_one_line(error, "other_language 3", "de 3", '[clean] languages = ["de"]')
        english = "# Filter\n\nThe filter of the pump is cleaned each month by the service team. "
        english += "The old one goes into the box below the stairs, and a new one is ordered.\n"
        (project / "raw" / "4.md").write_text(english, "utf-8")
        code, _, error = run("curate", *own, "--set", "split.test=0.3")
        assert "of 4 documents 3 are in other languages than en: de 3" in error
        error = run("curate", *own, "--set", 'clean.languages=["de"]')[2]
        assert "other_language 1" in error and "other languages than" not in error

    def test_a_base_model_that_cannot_be_trained_is_said_before_a_teacher_is_asked(
        self, project, tiny_base
    ):
        (project / "raw" / "a.md").write_text("# A\n\nSome text.\n", "utf-8")
        base = project / "base"
        shutil.copytree(tiny_base.path, base)
        template = base / "chat_template.jinja"
        template.write_text(template.read_text("utf-8").replace("<|im_end|>", "<|endoftext|>"))
        for command in ("run", "synthesize", "curate"):
            with serving(lambda number, body: chat("What?")) as server:
                code, _, error = run(
                    command, "--set", f"model.base_model={base}", "--set", "teacher.kind=openai",
                    "--set", f"teacher.base_url={server.url}", "--set", "teacher.model=m",
                )  # fmt: skip
            assert (code, server.bodies) == (2, [])
            assert_one_line(error, "base model base: loss mask: end of turn not trained")
        assert run("show", "clean_documents")[0] == 2, "nothing was curated either"

    def test_an_unknown_base_model_is_said(self, project):
        (project / "raw" / "a.md").write_text("# A\n\nSome text.\n", "utf-8")
        code, _, error = run("run", "--set", "model.base_model=nobody/nothing")
        assert code == 2
        assert_one_line(error, "nobody/nothing", "model.allow_download")

    def test_a_dead_teacher_endpoint_loses_nothing_that_was_curated(self, filled):
        code, _, error = run(
            "run",
            "--set",
            "teacher.kind=openai",
            "--set",
            "teacher.model=m",
            "--set",
            "teacher.base_url=http://127.0.0.1:9/v1",
            "--set",
            "teacher.max_retries=0",
        )
        assert code == 2
        assert_one_line(error, "http://127.0.0.1:9/v1")
        rows = json.loads(run("show", "--json")[1])["rows"]
        assert {row["dataset"] for row in rows} >= {"chunks", "splits"}

    def test_a_key_is_in_no_message_and_in_no_file_of_the_home(self, filled, monkeypatch):
        """Pasted with a dash of a word processor, or echoed by a server."""
        echo = error(401, "No such key: sk-secret-4711")
        with serving(lambda number, body: echo) as server:
            for key, expected in (
                ("sk\u2013secret-4711", "OPENAI_API_KEY"),
                (
                    "sk-secret-4711\r\n",
                    "HTTP 401 (the key is missing or wrong): No such key: <key>",
                ),
            ):
                monkeypatch.setenv("OPENAI_API_KEY", key)
                code, _, line = run(
                    "run", "--set", "teacher.kind=openai", "--set", "teacher.model=m",
                    "--set", f"teacher.base_url={server.url.replace('//', '//ann:hunter2@')}",
                )  # fmt: skip
                assert code == 2
                assert_one_line(line, expected)
                assert "secret-4711" not in line and "hunter2" not in line
        for path in (filled / "home").rglob("*"):
            if path.is_file():
                assert b"secret-4711" not in path.read_bytes(), path

    def test_the_report_tells_of_each_rule_what_it_measured_and_of_redactions(self, filled):
        shutil.copy(ROOT / "data/samples/manual/shading-stub.md", filled / "raw")
        address = "Write to ana@huerta.example or help@fernwick.example.\n"
        with (filled / "raw" / "alarm-codes.md").open("a", encoding="utf-8") as file:
            file.write(address)
        allow = "clean.redact_allow=['*@fernwick.example']"
        report = json.loads(run("curate", "--json", "--set", allow)[1])
        [example] = report["drop_examples"]["clean"]["too_short"]
        assert (example["value"], example["threshold"]) == (5, 20)
        assert example["source"].startswith("Gopher 50")
        assert example["excerpt"].startswith("shading-stub.md: # Shading")
        assert report["redaction"] == {"kinds": {"EMAIL": 1}, "documents": 1, "allowed": 1}

    def test_curate_twice_reuses_everything_and_prints_only_json(self, filled):
        first = json.loads(run("curate", "--json")[1])
        second = json.loads(run("curate", "--json")[1])
        assert not any(stage["reused"] for stage in first["stages"])
        assert all(stage["reused"] for stage in second["stages"])
        assert len(first["stages"]) == len(second["stages"])
        for stage in first["stages"]:
            assert stage["rows_in"] == stage["rows_kept"] + stage["rows_dropped"]
        document = json.loads(run("show", "unique_documents", "-n", "1", "--json")[1])["rows"][0]
        story = json.loads(run("trace", document["doc_id"], "--json")[1])
        assert story["found"]["raw_documents"]["source"] == document["source"]
        assert story["place"] is None
        (piece,) = json.loads(run("show", "chunks", "-n", "1", "--json")[1])["rows"]
        story = json.loads(run("trace", piece["chunk_id"], "--json")[1])
        source = story["found"]["raw_documents"]["source"]
        assert story["place"]["label"].startswith(f"{source}, ")
        assert story["place"]["share"] > 0.9
        assert f"taken from: {source}, " in run("trace", piece["chunk_id"])[1]
        assert run("fsck")[0] == 0
        (part,) = (filled / "home/store/chunks").glob("*/part-00000.parquet")
        part.write_bytes(part.read_bytes()[:-1] + b"x")
        code, _, error = run("fsck")
        assert code == 2
        assert_one_line(error, "1 files differ")


def test_a_second_run_on_the_same_home_is_told_to_wait(project):
    (project / "home").mkdir()
    with FileLock(project / "home" / "lock"):
        # Another process, since a lock is free to the process that holds it.
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "run"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert_one_line(done.stderr, "is used by another run")


def on_a_disk(folder: Path, options: str, *arguments: str):
    """Run the program with a home on a tmpfs of its own, in a mount namespace of its own."""
    home = folder / "small-disk"
    home.mkdir()
    script = f'mount -t tmpfs -o {options} none "{home}" && exec "$@"'
    return subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            "-m",
            "flows.cli.main",
            *arguments,
            "--set",
            f"paths.home={home}",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_a_full_disk_is_said_before_anything_starts(project):
    done = on_a_disk(project, "size=8m", "curate")
    assert done.returncode == 2
    assert_one_line(done.stderr, " MB free", "store.min_free_megabytes")


@pytest.mark.usefixtures("prefect")
def test_a_disk_that_fills_up_on_the_way_is_said(project, tiny_base):
    shutil.copy(ROOT / "data/samples/manual/alarm-codes.md", project / "raw")
    changed = ("store.min_free_megabytes=0", f"model.base_model={tiny_base.path}")
    given = [word for change in changed for word in ("--set", change)]
    done = on_a_disk(project, "size=48k", "curate", *given)
    assert done.returncode == 2
    assert_one_line(done.stderr, "No space left")


def test_a_server_that_died_of_a_full_disk_is_not_blamed(project):
    shutil.copy(ROOT / "data/samples/manual/alarm-codes.md", project / "raw")
    done = on_a_disk(project, "size=3m", "curate", "--set", "store.min_free_megabytes=0")
    assert done.returncode == 2
    assert_one_line(done.stderr, "No space left on device", "free some space")


@pytest.mark.parametrize("command", ["curate", "up", "review pull"])
def test_a_home_that_cannot_be_written_is_said(project, command):
    done = on_a_disk(project, "ro", *command.split())
    assert done.returncode == 2
    assert_one_line(done.stderr, "small-disk", "Read-only file system", "paths.home=DIR")


def test_a_reader_that_goes_away_costs_one_line(project):
    """`tuneloop status | head` is no bug."""
    line = f"set -o pipefail; {sys.executable} -m flows.cli.main status | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "tuneloop: output: who read it stopped; expected a reader of all of it; nothing is lost"
    ]


def test_a_damaged_table_is_named(project):
    store = Store(project / "home" / "store")
    made = {"dataset": "splits", "fingerprint": "a" * 16, "created_at": "2026-01-01T00:00:00Z"}
    recipe = Recipe(**made, stage_version=1, settings={}, inputs={}, code={}, libraries={})
    row = dict.fromkeys(("doc_id", "unit_id", "cluster_id"), "0" * 16)
    row |= {"chunk_id": "", "split": "train"}
    dataset = store.write(recipe, Splits, Outcome(table(Splits, [row]), drops([]), 1), 0.0, 0.0)
    Registry(project / "home" / "refs").point("dataset/splits", dataset, "test", "2026-01-01")
    part = store.path(dataset) / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    for command in ("show splits", f"trace {'0' * 16}"):
        code, _, error = run(*command.split())
        assert code == 2
        assert_one_line(error, str(part), "cannot be read as Parquet")
    manifest = store.path(dataset) / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole[:-20])
    code, _, error = run("show", "splits")
    assert code == 2 and f"{manifest} is not a manifest" in error
    Registry(project / "home" / "refs").root.joinpath("dataset/splits").unlink()
    code, _, error = run("models")  # it is said, and stops nothing that does without it
    assert code == 0 and f"{manifest} is not a manifest" in error
    code, _, error = run("fsck")
    assert code == 2 and f"{manifest} is not a manifest" in error and "1 files differ" in error


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("gold", '{"q": "Why?", "a": "Rain."}', ["1 of 1 rows are bad", "question, answer"]),
        ("seeds", '{"task": "Sort."}', ["row 1: id: Field required"]),
        ("benchmarks", '{"label": 1}', ["no text"]),
    ],
)
def test_a_file_of_ones_own_is_looked_into_before_the_documents_are(project, name, content, parts):
    (project / "raw" / "page.md").write_text("# Pump\n\nIt holds 6 bar.\n")
    (project / "rows.jsonl").write_text(content + "\n")
    value = '["rows.jsonl"]' if name == "benchmarks" else "rows.jsonl"
    code, _, error = run("run", "--set", f"paths.{name}={value}")
    assert code == 2, error
    assert_one_line(error, "rows.jsonl" if name != "seeds" else "seed tasks", *parts)
    assert not list((project / "home" / "store").glob("*/*"))


def test_what_a_damaged_file_holds_is_not_obeyed_by_the_terminal(project):
    reviews = project / "home" / "reviews"
    reviews.mkdir(parents=True)
    (reviews / "queue.jsonl").touch()
    (reviews / "queue.csv").write_bytes(b"\x1b[2J\x00\x07,\x9b,verdict\nx\n")
    code, _, error = run("review", "pull")
    assert code == 2
    assert_one_line(error, "queue.csv has �[2j��")
    assert not set(error) & set("\x1b\x00\x07\x9b")


@pytest.mark.parametrize(
    "command", ["show", "trace x", "fsck", "rollback --reason x", "promote --reason x"]
)
def test_before_the_first_run_commands_say_where_to_start(project, command):
    code, _, error = run(*command.split())
    assert code == 2
    assert_one_line(error, "tuneloop run")

"""Gold pairs follow their document into its split, or are dropped with a reason."""

import csv
import io
import json
import random
from collections.abc import Mapping

import polars as pl
import pytest
from pandera.typing.polars import DataFrame
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.errors import InputError
from pipeline.core.outcome import Drop, Outcome, drops, table
from pipeline.pairs.gold import GoldRow, locate_gold, read_row, settle_gold
from pipeline.pairs.harvest import pair_id
from pipeline.pairs.user_files import read_jsonl, read_rows
from schemas.base import Drops
from schemas.documents import Chunks, RawDocuments, UniqueDocuments
from schemas.pairs import GoldRows, SettledPairs, Splits
from tests.conftest import ROOT

SURVIVORS = {"manual/a.md": "train", "manual/b.md": "test", "notes.jsonl#2": "validation"}
COPY, POOR = "manual/copy-of-b.md", "manual/poor.md"


def raw_row(source: str) -> dict:
    return {
        "doc_id": short_id(source),
        "source": source,
        "format": "markdown",
        "title": source,
        "text": "x",
        "span_start": 0,
        "span_end": 1,
    }


def chunk(source: str, text: str, section: str = "") -> dict:
    return {
        "chunk_id": short_id("chunk", source, text),
        "doc_id": short_id(source),
        "title": "",
        "section": section,
        "start": 0,
        "end": 9,
        "text": text,
        "tokens": 9,
    }


def located(rows: list[dict], *chunks: dict, sources: tuple[str, ...] = ()) -> Outcome[GoldRows]:
    """Gold rows beside some documents, one of them a copy and one dropped."""
    read = sources or (*SURVIVORS, COPY, POOR)
    raw: DataFrame[RawDocuments] = table(RawDocuments, map(raw_row, read))
    survivors = table(
        UniqueDocuments,
        (
            raw_row(source)
            | {"language": "en", "cluster_id": short_id("c", source), "cluster_size": 1}
            for source in sources or SURVIVORS
        ),
    )
    duplicates = drops(
        [Drop(short_id(COPY), "near_duplicate", "", 0.9, 0.8, short_id("manual/b.md"))]
    )
    return locate_gold(rows, survivors, duplicates, raw, table(Chunks, chunks), "gold.jsonl")


def settled(
    rows: DataFrame[GoldRows], parts: Mapping[tuple[str, str], str]
) -> Outcome[SettledPairs]:
    """Gold rows in the splits of (``doc_id``, ``chunk_id``)."""
    places = [
        {"doc_id": key, "chunk_id": chunk, "unit_id": name, "cluster_id": name, "split": where}
        for (key, chunk), where in parts.items()
        for name in [short_id("unit", key, chunk)]
    ]
    return settle_gold(rows, table(Splits, places), "gold.jsonl")


BY_DOCUMENT = {(short_id(source), ""): where for source, where in SURVIVORS.items()}


def csv_of(rows: list[dict], separator: str) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def gold(question: str, document: str, answer: str = "Five seconds.") -> dict:
    return {"question": question, "answer": answer, "document": document}


def test_a_row_about_a_document_that_is_split_by_section_goes_where_its_words_stand():
    pump = chunk("manual/a.md", "The pump is primed for five seconds before each start.", "Pump")
    tank = chunk("manual/a.md", "The tank is emptied in autumn, before the first frost.", "Tank")
    rows = [
        gold("How long is the pump primed?", "manual/a.md"),
        gold("When is the tank emptied?", "manual/a.md", "In autumn."),
        gold("Quanto costa?", "manual/a.md", "Niente."),
    ]
    found = located(rows, pump, tank).kept
    parts = {
        (pump["doc_id"], pump["chunk_id"]): "train",
        (tank["doc_id"], tank["chunk_id"]): "test",
    }
    outcome = settled(found, parts)
    where = dict(outcome.kept.select("instruction", "split").iter_rows())
    assert where == {rows[0]["question"]: "train", rows[1]["question"]: "test"}
    assert outcome.reasons == {"document_dropped": 1}
    assert outcome.balances
    # Where documents are split as a whole, its words need not be found.
    assert settled(found, BY_DOCUMENT).kept.height == 3


def test_a_gold_pair_has_the_split_and_cluster_of_its_document():
    found = located([gold(f"What is in {source}?", source) for source in SURVIVORS])
    GoldRows.validate(found.kept, lazy=True)
    outcome = settled(found.kept, BY_DOCUMENT)
    SettledPairs.validate(outcome.kept, lazy=True)
    assert outcome.kept.height == 3
    for row in outcome.kept.iter_rows(named=True):
        source = row["instruction"].removeprefix("What is in ").removesuffix("?")
        assert row["split"] == SURVIVORS[source]
        assert row["cluster_id"] == short_id("unit", short_id(source), "")
        assert (row["origin"], row["status"], row["generator"]) == ("gold", "gold", "gold.jsonl")
        assert row["pair_id"] == pair_id(
            row["instruction"], "", row["response"], row["doc_id"], "gold"
        )


def test_a_question_about_a_duplicate_follows_its_survivor():
    outcome = located([gold("How long?", COPY)])
    assert outcome.kept["doc_id"].to_list() == [short_id("manual/b.md")]


@pytest.mark.parametrize(
    ("named", "sources", "meant"),
    [
        ("manual/a.md", ("manual/a.md", "notes/a.md"), "manual/a.md"),
        ("b.md", ("manual/a.md", "manual/deep/b.md"), "manual/deep/b.md"),
        ("raw/manual/a.md", ("manual/a.md", "b.md"), "manual/a.md"),
        (r"C:\docs\manual\a.md", ("manual/a.md", "b.md"), "manual/a.md"),
        ("faq.jsonl#3", ("in/faq.jsonl#3", "in/faq.jsonl#4"), "in/faq.jsonl#3"),
        ("a.md", ("manual/a.md", "notes/a.md"), None),  # which of the two?
        ("other/a.md", ("manual/a.md", "b.md"), None),  # another folder
        ("manual/A.md", ("manual/a.md", "b.md"), None),
    ],
)
def test_a_document_may_be_named_from_higher_up_or_by_its_last_part(named, sources, meant):
    rows = [gold("Who?", named), gold("What is it?", sources[0]), gold("Why?", sources[1])]
    outcome = located(rows, sources=sources)
    found = dict(outcome.kept.select("question", "doc_id").iter_rows())
    assert found.get("Who?") == (short_id(meant) if meant else None)
    assert outcome.reasons == ({} if meant else {"unknown_document": 1})


PUMP = chunk("manual/a.md", "The pump is primed for five seconds before each cold start.")
TANK = chunk("manual/b.md", "The tank is emptied in autumn, before the first frost.")


def test_a_row_without_a_document_is_found_by_its_words_or_stands_alone():
    asked = "How long is the pump primed before a cold start?"
    rows = [
        {"question": asked, "answer": "Five seconds."},
        {"question": "Who founded the company, and when?", "answer": "Two sisters, in 1931."},
        {"question": "Why?", "answer": "So."},  # small words alone
    ]
    outcome = located(rows, PUMP, TANK)
    found = {row["question"]: row for row in outcome.kept.iter_rows(named=True)}
    assert (found[asked]["doc_id"], found[asked]["chunk_id"]) == (PUMP["doc_id"], PUMP["chunk_id"])
    assert outcome.metrics == {"named": 0, "searched": 1, "alone": 2}
    alone = found[rows[1]["question"]]
    assert alone["doc_id"] == alone["chunk_id"] == ""
    parts = BY_DOCUMENT | {
        ("", row["pair_id"]): "test" for row in found.values() if not row["doc_id"]
    }
    pairs = settled(outcome.kept, parts).kept
    where = dict(pairs.select("instruction", "split").iter_rows())
    assert where == {asked: "train", rows[1]["question"]: "test", "Why?": "test"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (gold("Who?", "manual/missing.md"), "unknown_document"),
        (gold("Who?", POOR), "document_dropped"),
        (gold("  ", "manual/a.md"), "malformed_row"),
        (gold("Who?", "manual/a.md", answer=None), "malformed_row"),
        ({"question": "Who?", "document": "manual/a.md"}, "malformed_row"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_with_its_reason(row, reason):
    outcome = located([row, gold("What is it?", "manual/a.md"), gold("Why?", "manual/a.md")])
    Drops.validate(outcome.dropped, lazy=True)
    assert outcome.balances
    assert outcome.reasons == {reason: 1}


USER, ASSISTANT = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Rain."}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Why?", "answer": "Rain."},
        {"instruction": " Why?", "response": "Rain.\n"},
        {"instruction": "Why?", "input": "", "output": "Rain."},
        {"prompt": "Why?", "completion": "Rain."},
        {"Prompt ": "Why?", "Response": "Rain."},
        {"messages": [{"role": "system", "content": "Be brief."}, USER, ASSISTANT]},
        {"prompt": [USER], "completion": [ASSISTANT]},
    ],
)
def test_a_row_is_read_under_the_names_that_files_of_others_have(row):
    outcome = located([row | {"document": "manual/a.md"}])
    assert outcome.kept.select("question", "input", "answer").rows() == [("Why?", "", "Rain.")]


def test_the_input_of_an_instruction_is_kept_and_tells_questions_apart():
    rows = [
        {"instruction": "Sum it up.", "input": text, "output": "So.", "document": "manual/a.md"}
        for text in ("First log.", "Second log.")
    ]
    outcome = located(rows)
    assert sorted(outcome.kept["input"]) == ["First log.", "Second log."]


@pytest.mark.parametrize(
    "messages", [[USER], [ASSISTANT, USER], [USER, ASSISTANT, USER, ASSISTANT], ["Why?"], "Why?"]
)
def test_messages_that_are_not_one_question_and_its_answer_are_malformed(messages):
    found = read_row({"messages": messages, "document": "manual/a.md"})
    assert isinstance(found, Drop) and found.reason == "malformed_row"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"q": "Why?", "a": "Rain."}, "3 of 5 rows are bad .*malformed_row: question, answer"),
        (
            {"questions": "Why?", "anser": "Rain."},
            r"malformed_row: .*\(it has 'questions' for 'question', 'anser' for 'answer'\?\)",
        ),
        (gold("Why?", "c:/docs/a.md"), "unknown_document: c:/docs/a.md: Why?"),
        (
            gold("Why?", "manuals/a.md"),
            r"unknown_document: manuals/a.md \(the nearest is manual/a.md\): Why\?",
        ),
    ],
)
def test_a_file_of_mostly_bad_rows_stops_with_the_first_one_and_what_was_expected(row, found):
    good = [gold("How long?", "manual/a.md"), gold("How far?", "manual/a.md")]
    with pytest.raises(InputError, match=rf"gold.jsonl: .*{found}.*expected question and answer"):
        located([*good, row, row, row])
    assert located([*good, row, row]).kept.height == 2


def test_a_row_need_not_name_the_only_document():
    outcome = located([{"question": "Why?", "answer": "Rain."}], sources=("book.pdf",))
    assert outcome.kept["doc_id"].to_list() == [short_id("book.pdf")]


def test_a_question_asked_twice_is_kept_once():
    outcome = located([gold("How long?", "manual/a.md"), gold("how long", "manual/b.md", "Ten.")])
    assert outcome.balances
    assert outcome.reasons == {"duplicate_question": 1}
    assert outcome.dropped["related_id"].to_list() == outcome.kept["pair_id"].to_list()


def test_the_order_of_the_rows_changes_nothing():
    rows = [
        gold(f"Question {n % 5}?", [*SURVIVORS, COPY, POOR, "none.md"][n % 6]) for n in range(30)
    ]
    outcome = located(rows)
    random.Random(1).shuffle(rows)
    assert outcome.balances
    assert_frame_equal(outcome.kept, located(rows).kept)
    assert_frame_equal(outcome.dropped, located(rows).dropped)


def test_the_gold_file_of_the_repository_has_no_malformed_row_or_repeated_question():
    rows = read_jsonl(ROOT / "data/gold/gold.jsonl")
    assert len(rows) >= 120
    assert all(isinstance(read_row(row), GoldRow) for row in rows)
    assert len({row["question"].casefold() for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2: not JSON"),
        (b'{"a": 1}\n\n[1]\n', "line 3: a JSON list found; expected an object"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "line 2: not UTF-8"),
    ],
)
def test_a_broken_line_is_named(tmp_path, content, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_jsonl(path)


ROWS = [{"question": "Wie lange; und wo?", "answer": "Fünf Minuten,\nim Keller."}] * 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gold.jsonl", "\n".join(map(json.dumps, ROWS)).encode()),
        ("gold.json", json.dumps(ROWS).encode()),
        ("gold.csv", csv_of(ROWS, ",").encode()),
        ("gold.csv", csv_of(ROWS, ";").encode("utf-8-sig")),  # as Excel writes it in Germany
        ("gold.csv", csv_of(ROWS, ";").encode("cp1252")),
        ("gold.tsv", csv_of(ROWS, "\t").encode()),
        ("gold.parquet", None),
    ],
)
def test_a_gold_file_may_be_any_table(tmp_path, name, content):
    path = tmp_path / name
    if content is None:
        pl.DataFrame(ROWS).write_parquet(path)
    else:
        path.write_bytes(content)
    assert read_rows(path) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gold.txt", b"Why?", "'.txt' is not known.*expected one of .jsonl"),
        ("gold.json", b'["Why?"]', "row 1: a str found; expected an object"),
        ("gold.json", b"[", "cannot be read"),
        ("gold.csv", b'question,answer\n"Why?,So.\n', "cannot be read .*quotes"),
        ("gold.csv", b"question,answer\na,b,c\n", "cannot be read .*3 cells found; expected 2"),
        ("gold.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_gold_file_that_is_no_table_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_rows(path)


def test_a_missing_file_is_an_input_error_and_odd_line_ends_are_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_bytes('\ufeff{"a": "x\u2028y"}\r\n\r\n{"a": 2}'.encode())
    assert read_jsonl(path) == [{"a": "x\u2028y"}, {"a": 2}]


@pytest.mark.parametrize(
    ("passage", "other", "question", "answer"),
    [
        (
            "Die Pumpe wird vor jedem Kaltstart fünf Sekunden lang entlüftet.",
            "Der Tank wird im Herbst geleert, vor dem ersten Frost.",
            "Wie lange wird die Pumpe vor einem Kaltstart entlüftet?",
            "Fünf Sekunden.",
        ),
        (
            "每次冷启动之前水泵需要排气五秒钟。",
            "秋天第一次霜冻之前要把水箱放空。",
            "水泵在冷启动之前需要排气多长时间",
            "五秒钟。",
        ),
        (
            "冷間始動の前に、ポンプを五秒間空気抜きします。",
            "タンクは秋、初霜の前に空にします。",
            "冷間始動の前にポンプは何秒間空気抜きしますか。",
            "五秒間。",
        ),
        (
            "ตัวควบคุมการให้น้ำ FW-200 ต้องกดปุ่มรีเซ็ตค้างไว้ห้าวินาทีเพื่อคืนค่าโรงงาน",
            "ทำความสะอาดไส้กรองทุกสองสัปดาห์ด้วยน้ำอุ่น และตรวจสอบรอยรั่วที่ข้อต่อ",
            "ต้องกดปุ่มรีเซ็ตนานเท่าไรเพื่อคืนค่าโรงงาน",
            "ห้าวินาที",
        ),
        (
            "ກົດປຸ່ມຣີເຊັດຄ້າງໄວ້ຫ້າວິນາທີເພື່ອຄືນຄ່າໂຮງງານ",
            "ທຳຄວາມສະອາດຕົວກອງທຸກສອງອາທິດດ້ວຍນ້ຳອຸ່ນ",
            "ຕ້ອງກົດປຸ່ມຣີເຊັດດົນປານໃດເພື່ອຄືນຄ່າໂຮງງານ",
            "ຫ້າວິນາທີ",
        ),
        (
            "ចុចប៊ូតុងកំណត់ឡើងវិញរយៈពេលប្រាំវិនាទី ដើម្បីស្តារការកំណត់រោងចក្រ",
            "សម្អាតតម្រងរៀងរាល់ពីរសប្តាហ៍ម្តងដោយទឹកក្តៅឧណ្ហៗ",
            "តើត្រូវចុចប៊ូតុងកំណត់ឡើងវិញរយៈពេលប៉ុន្មាន",
            "ប្រាំវិនាទី",
        ),
        (
            "စက်ရုံဆက်တင်များပြန်ယူရန် ပြန်လည်သတ်မှတ်ခလုတ်ကို ငါးစက္ကန့်ဖိထားပါ",
            "ရေစစ်ကို နှစ်ပတ်တစ်ကြိမ် ရေနွေးနွေးဖြင့် သန့်ရှင်းရေးလုပ်ပါ",
            "ပြန်လည်သတ်မှတ်ခလုတ်ကို ဘယ်လောက်ကြာ ဖိထားရမလဲ",
            "ငါးစက္ကန့်",
        ),
    ],
)
def test_a_row_is_found_by_its_words_in_other_languages(passage, other, question, answer):
    here, there = chunk("manual/a.md", passage), chunk("manual/b.md", other)
    found = located([{"question": question, "answer": answer}], here, there).kept
    assert found["chunk_id"].to_list() == [here["chunk_id"]]
    (named,) = located([gold(question, "manual/a.md", answer)], here, there).kept["chunk_id"]
    assert named == here["chunk_id"]
    assert located([{"question": question, "answer": answer}], there).metrics["alone"] == 1

"""Source code and JSON files."""

from pipeline.documents.readers.formats import READERS
from tests.pipeline.documents.packing import failure, reading


def test_code_is_a_fence_of_its_language_longer_than_those_inside():
    (record,) = reading("pump.py", b'"""Pump."""\n\n# opens\nx = "```"\n').records
    assert record.text == '````python\n"""Pump."""\n\n# opens\nx = "```"\n````'
    (settings,) = reading("pump.yml", b"pump:\n  speed: 50  # rpm\n").records
    assert settings.text == "```yaml\npump:\n  speed: 50  # rpm\n```"
    assert failure("a.sql", b"\n") == "empty_file" and "bash" in READERS


def test_json_is_records_where_it_has_the_text_field_else_code():
    records = reading("a.json", b'[{"body": "Opens."}, {"b": 1}]')
    assert [record.text for record in records.records] == ["Opens."]
    assert [each.reason for each in records.failures] == ["missing_text_field"]
    export = b'{"page": 1, "articles": [{"body": "Opens."}, {"body": "Shuts."}], "tags": ["a"]}'
    assert [each.text for each in reading("e.json", export).records] == ["Opens.", "Shuts."]
    (record,) = reading("b.json", b'{"valve": {"bar": 5}}').records
    assert record.text == '```json\n{"valve": {"bar": 5}}\n```'
    assert (failure("c.json", b"{"), failure("d.json", b"[]")) == ("bad_json", "empty_file")

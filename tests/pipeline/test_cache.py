"""The cache of costly results: whole entries or none."""

from pipeline.core.cache import Cache, canonical_json, short_id


def test_an_entry_is_found_by_equal_keys_only(tmp_path):
    cache = Cache(tmp_path)
    cache.entry({"prompt": "a", "seed": 1}).put(["reply"])
    assert cache.entry({"seed": 1, "prompt": "a"}).get() == ["reply"]
    assert cache.entry({"prompt": "a", "seed": 2}).get() is None


def test_a_torn_entry_counts_as_missing_and_is_replaced(tmp_path):
    cache = Cache(tmp_path)
    cache.entry({"k": 1}).put("value")
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:10])
    assert cache.entry({"k": 1}).get() is None
    cache.entry({"k": 1}).put("value")
    assert cache.entry({"k": 1}).get() == "value"
    assert not list(tmp_path.rglob("*.tmp"))


def test_ids_keep_neighbouring_strings_apart():
    assert short_id("a", "bc") != short_id("ab", "c")


def test_canonical_json_ignores_the_order_of_keys():
    assert (
        canonical_json({"b": 1, "a": "ü"})
        == canonical_json({"a": "ü", "b": 1})
        == '{"a":"ü","b":1}'
    )

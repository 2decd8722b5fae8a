"""The cache of costly results: whole entries or none."""

from pipeline.core.cache import Cache, canonical_json, short_id


def test_an_entry_is_found_by_equal_keys_only(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"prompt": "a", "seed": 1}, ["reply"])
    assert cache.get({"seed": 1, "prompt": "a"}) == ["reply"]
    assert cache.get({"prompt": "a", "seed": 2}) is None


def test_a_torn_entry_counts_as_missing_and_is_replaced(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"k": 1}, "value")
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text()[:10])
    assert cache.get({"k": 1}) is None
    cache.put({"k": 1}, "value")
    assert cache.get({"k": 1}) == "value"
    assert not list(tmp_path.rglob("*.tmp"))


def test_ids_keep_neighbouring_strings_apart():
    assert short_id("a", "bc") != short_id("ab", "c")


def test_canonical_json_ignores_the_order_of_keys():
    assert (
        canonical_json({"b": 1, "a": "ü"})
        == canonical_json({"a": "ü", "b": 1})
        == '{"a":"ü","b":1}'
    )

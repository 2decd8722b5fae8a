"""A Ray cluster of two nodes finds what threads find, to the byte."""

import os

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from pipeline.core.errors import InputError
from pipeline.dedup.runners import ray_cluster, runner
from pipeline.settings import DedupSettings
from tests.pipeline.dedup.test_search import assert_same, find, planted


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with a core each, on this machine's own address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=200 * 2**20)
    yield cluster
    cluster.shutdown()


def where() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()


def test_two_nodes_share_the_work_and_find_the_same(cluster, monkeypatch):
    from pipeline.dedup import slices

    texts = planted(200)
    expected = find(texts)
    monkeypatch.setattr(slices, "SLICE_BYTES", 20_000)
    settings = DedupSettings(runner="ray", ray_address=cluster.address)
    with runner(settings) as chosen:
        assert_same(find(texts, runner=chosen), expected)
        assert len(set(chosen(where, [() for _ in range(40)]))) == 2


def test_an_address_without_a_cluster_is_named():
    with pytest.raises(InputError, match=r"at '127\.0\.0\.1:9'"), ray_cluster("127.0.0.1:9"):
        pass

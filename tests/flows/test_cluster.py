"""Two nodes of a Ray cluster do what this machine does, to the byte."""

import os
from functools import partial
from pathlib import Path

import pytest
from prefect import flow

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from flows.curate import curate_documents, input_files
from flows.engine.context import open_run
from flows.engine.mirror import pull
from pipeline.core.errors import InputError
from pipeline.core.home import Home, fsck
from pipeline.core.ray_runner import RayRunner
from pipeline.core.remote import mirror_of
from pipeline.core.runner import Processes, open_runner
from pipeline.core.workers import Done, Failed, Limits
from pipeline.dedup import minhash
from pipeline.documents.files.remote import list_objects
from pipeline.settings import Settings
from pipeline.train.models.base_model import BaseModel
from tests.conftest import ROOT
from tests.pipeline import crashing
from tests.pipeline.dedup.test_search import assert_same, find, planted
from tests.s3_server import BUCKET, client, s3_server


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3") / "log"):
        list_objects(f"s3://{BUCKET}")  # starts threads that serve all stores of the process
        yield client()


@pytest.fixture(scope="module")
def cluster(s3):
    """Two nodes with a core each, on this machine's own address; they know the S3 server."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, include_dashboard=False, object_store_memory=200 * 2**20)
    yield cluster
    cluster.shutdown()


def where(_: object = None) -> str:
    import ray

    return ray.get_runtime_context().get_node_id()


@pytest.fixture(scope="class")
def nodes(cluster):
    with open_runner("ray", 0, cluster.address) as runner:
        yield runner


class TestConnected:
    """One connection serves several tests: each starts processes on the nodes."""

    def test_two_nodes_share_the_work_and_find_the_same(self, nodes, monkeypatch):
        texts = planted(100)
        expected = find(texts)
        monkeypatch.setattr(minhash, "SLICE_BYTES", 20_000)
        assert_same(find(texts, runner=nodes), expected)
        assert len(set(nodes.each(where, [() for _ in range(40)]))) == 2

    def test_an_item_costs_itself_on_a_node_as_it_does_here(self, nodes):
        kinds = ["exit", "segfault", "flood", "native flood", "sleep", "raise", "quit"]
        fates = {7 * number: fate for number, fate in enumerate(kinds)}
        call = partial(crashing.go_wrong, fates=fates)
        limits = Limits(seconds=5, megabytes=400)
        there = list(nodes.guarded(call, range(200), limits))
        here = list(Processes(2).guarded(call, range(200), limits))
        assert [_without_peak(one) for one in there] == [_without_peak(one) for one in here]
        assert sum(isinstance(one, Failed) for one in there) == len(kinds)

    def test_a_node_with_another_version_of_the_program_is_refused(self, nodes):
        with pytest.raises(InputError, match=r"node .* has another version of the program"):
            list(RayRunner("0" * 64).each(where, [()]))


STAGES = (
    "raw_documents", "documents", "repeated_paragraphs", "trimmed_documents", "unique_documents",
    "dedup_index", "chunks", "gold_rows", "splits",
)  # fmt: skip


@pytest.mark.usefixtures("prefect")
def test_curation_stores_the_same_bytes_whoever_computes(
    s3, cluster, tiny_base, tmp_path, monkeypatch
):
    samples = ROOT / "data" / "samples"
    for path in samples.rglob("*"):
        if path.is_file():
            key = f"samples/{path.relative_to(samples).as_posix()}"
            s3.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    there = {"runner": "ray", "ray_address": cluster.address}
    home = f"s3://{BUCKET}/home"
    monkeypatch.setenv("TUNELOOP_CACHE", str(tmp_path / "one"))
    stored = [
        curated(tmp_path / "1", samples, tiny_base, {"runner": "inline"}),
        curated(tmp_path / "2", samples, tiny_base, {"runner": "processes"}),
        curated(mirror_of(home), f"s3://{BUCKET}/samples", tiny_base, there),
    ]
    assert stored[0].keys() == set(STAGES)
    assert all(one == stored[0] for one in stored)
    monkeypatch.setenv("TUNELOOP_CACHE", str(tmp_path / "other"))
    pull(mirror_of(home))
    assert data_sets(mirror_of(home)) == stored[0]
    assert fsck(Home.at(mirror_of(home))) == []


def curated(home: Path, documents: Path | str, base: BaseModel, compute: dict[str, str]):
    """Curate and return the files of each data set with their hashes."""
    settings = Settings.model_validate(
        {
            "paths": {"input": documents, "home": home},
            "compute": compute,
            "paragraphs": {"action": "remove"},
            "model": {"base_model": str(base.path)},
        }
    )

    @flow(name="curate")
    def body():
        with open_run("curate", settings) as run:
            curate_documents(run, base, input_files(run))

    body()
    return data_sets(home)


def data_sets(home: Path):
    return {
        manifest.dataset: (manifest.content, manifest.files, manifest.facts.reasons)
        for manifest in Home.at(home).manifests()
    }


def _without_peak(answer: Done[int] | Failed) -> Done[int] | Failed:
    """How much memory it held when it was refused more is not the same in each run."""
    return answer._replace(value=None) if isinstance(answer, Failed) else answer


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nohost.invalid:6379"])
def test_an_address_without_a_cluster_is_named(address):
    with pytest.raises(InputError, match=f"at '{address}'"), open_runner("ray", 0, address):
        pass

"""Settings of who computes."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.settings.base import Section


class ComputeSettings(Section):
    """Who reads, cleans, compares and cuts the documents; the result is the same."""

    runner: Literal["inline", "processes", "ray"] = "processes"
    """``processes``: worker processes of this machine, which hold each document to its limits of
    time and memory; ``ray``: the same on the nodes of a Ray cluster that is there; ``inline``: this
    process alone, without limits."""
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Worker processes of this machine; 0: one for each core that may be used."""
    memory_megabytes: Annotated[int, Field(ge=64)] = 2048
    """Memory of the process that collects: tables above a sixteenth of it and buckets above an
    eighth lie in files. A document takes about 6 kB all the same: names, ids, hashes."""
    ray_address: str = "auto"
    """Ray cluster, ``HOST:PORT``; ``auto``: the one that this machine is a node of. Its nodes take
    credentials for addresses such as ``s3://`` from their own environment."""

    def who(self) -> dict[str, Any]:
        """Return what :func:`pipeline.core.runner.open_runner` takes."""
        return self.model_dump(exclude={"memory_megabytes"})

"""Benchmarks: silent as the product, but a flow gets a Prefect server in its own process."""

import os

from flows.engine.environment import SILENT

os.environ.update(SILENT | {"PREFECT_SERVER_EPHEMERAL_ENABLED": "true"})

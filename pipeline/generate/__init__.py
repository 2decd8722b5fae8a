"""From chunks and seed tasks to screened pairs."""

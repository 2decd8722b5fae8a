"""The only place that knows Prefect, paths and the order of things."""

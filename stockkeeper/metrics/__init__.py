"""Metrics for Prometheus. Nothing of this is imported, and nothing is counted for it, without `--metrics-port`."""

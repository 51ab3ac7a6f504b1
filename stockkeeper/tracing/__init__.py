"""Traces for OpenTelemetry (extra `traces`). Nothing of this is imported without `--traces`."""

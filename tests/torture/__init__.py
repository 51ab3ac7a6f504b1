"""Failures of storage and of processes, done to the real service and counted.

Each scenario takes a number of rounds: `make test` runs a few of each, `make torture` runs them in full and writes
`docs/torture.md`.
"""

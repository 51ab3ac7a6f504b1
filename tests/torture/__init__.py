"""What happens to the service when storage or processes fail, done to the real thing and counted.

Each scenario takes a number of rounds: `make test` runs a few of each, `make torture` runs them in full and writes
`docs/torture.md`.
"""

"""The contract's messages, stubs and servicers: generated from `proto/inventory/v1` by `proto/generate.py`."""

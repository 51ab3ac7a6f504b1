"""The gRPC shell: requests become commands, facts responses, refusals statuses. It decides nothing else."""

"""What judges a run: history, replay, search and the auditor."""

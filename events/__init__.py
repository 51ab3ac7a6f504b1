"""Events out and in: programs beside the server, and what they share. They are clients of it like any other."""

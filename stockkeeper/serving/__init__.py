"""The server process and its front-end processes."""

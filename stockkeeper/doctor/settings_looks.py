"""Looks at what the server is told: who may read its secrets, and who is served."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stockkeeper.doctor.finding import Finding, advise, ok

SECRET_FILES = ("database_password_file", "tls_key")


def look_at_settings(settings: Mapping[str, Any], config: str) -> Iterator[Finding]:
    """All of them.

    Args:
        settings: of `serve`, by name.
        config: the configuration file; empty: there is none.
    """
    named = [config, *(str(settings[name]) for name in SECRET_FILES)]
    yield look_at_secrets([Path(name) for name in named if name])
    if settings["insecure_network"] and not settings["tls_cert"]:
        advice = "Give --tls-cert and --tls-key: keys and stock go over the network in the clear."
        yield advise("network", "other machines are served without TLS", advice)
    if not settings["keys_file"]:
        advice = "Give each caller a key: stockkeeper keys, serve --keys-file."
        yield advise("callers", "any caller that reaches the port may do everything", advice)


def look_at_secrets(paths: list[Path]) -> Finding:
    """Whether others than their owner may read these files."""
    wide = [str(path) for path in paths if path.exists() and path.stat().st_mode & 0o077]
    if wide:
        return advise("secrets", f"others than the owner may read {', '.join(wide)}", f"chmod 600 {' '.join(wide)}")
    return ok("secrets", "no file with a secret is open to others")

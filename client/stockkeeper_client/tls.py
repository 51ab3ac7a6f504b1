"""What a client needs for TLS, from files."""

from pathlib import Path

import grpc


def tls_credentials(
    ca: str | Path | None = None, *, certificate: str | Path | None = None, key: str | Path | None = None
) -> grpc.ChannelCredentials:
    """What `InventoryClient` takes as `credentials`.

    `ca`: a file with the certificates to trust, in PEM format; None: those that gRPC brings with it. `certificate` and
    `key`: files with the client's own, for a service that asks for one (mutual TLS). The files are read once.

    Raises OSError: a file cannot be read. ValueError: a certificate comes without its key, or a key without it.

    >>> tls_credentials("missing.pem")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'missing.pem'
    """
    if (certificate is None) != (key is None):
        raise ValueError("a certificate and its key go together")
    trusted, own_key, own = [None if path is None else Path(path).read_bytes() for path in (ca, key, certificate)]
    return grpc.ssl_channel_credentials(trusted, own_key, own)

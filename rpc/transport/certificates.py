"""The server's certificate and key, read again when their files change.

gRPC asks for them at each handshake. Looking at three files costs some microseconds, a handshake a millisecond. What
cannot be used, such as a new certificate whose key has not been written yet, is said in the log, and the last pair that
could be used stays.
"""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from rpc.transport.tls_files import TlsFiles

log = logging.getLogger(__name__)

_Seen = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


class TlsError(Exception):
    """The files cannot be used. Its text is one sentence for the user, and says nothing of what is in the key."""


class CertificatesStatistics(NamedTuple):
    """How often files that had changed were taken, and how often they could not be used."""

    reloads: int
    reloads_failed: int


class Certificates:
    """What one port shows, and whom it believes. (gRPC asks for each port's alone, and takes what is new once.)

    Args:
        files: are read at once.

    Raises:
        TlsError: they cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = look_at_files(files)
        self._reloads = self._reloads_failed = 0
        self._first = _read(files)

    def __repr__(self) -> str:
        return f"<Certificates {self._files.certificate}>"

    def statistics(self) -> CertificatesStatistics:
        return CertificatesStatistics(self._reloads, self._reloads_failed)

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is opened with."""
        fetch: Callable[[], Any] = self._changed  # None leaves what is shown as it is, which the stubs do not say
        return grpc.dynamic_ssl_server_credentials(self._first, fetch, bool(self._files.client_ca))

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What is new in the files since the last handshake; None if nothing is. Called in gRPC's threads."""
        seen = look_at_files(self._files)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            read = _read(self._files)
        except TlsError as error:
            self._reloads_failed += 1
            log.error("tls_not_reloaded", extra={"reason": str(error)})
            return None
        self._reloads += 1
        log.info("tls_reloaded", extra={"certificate": self._files.certificate})
        return read


def look_at_files(files: TlsFiles) -> _Seen:
    """What changes when one of them is written or replaced."""
    seen = []
    for path in files.paths:
        try:
            found = Path(path).stat()
        except OSError:
            seen.append((0, 0, 0))
        else:
            seen.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(seen)


def _read(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    certificate, key, *client_ca = [_bytes_of(path) for path in files.paths]
    load_certificates(files, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca[0] if client_ca else None)


def load_certificates(files: TlsFiles, context: ssl.SSLContext) -> None:
    """Have a context show the certificate, and believe the authority.

    Raises:
        TlsError: they cannot be used.
    """
    for path in files.paths:
        _bytes_of(path)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        pair = f"The certificate {files.certificate} and the key {files.key}"
        raise TlsError(f"{pair} cannot be used together: {_why(error)}.") from None
    if files.client_ca:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"The file {files.client_ca} has no certificates that can be used: {_why(error)}.") from None


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"The file {path} cannot be read: {error.strerror}.") from None


def _no_password() -> str:
    raise ValueError("the key has a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "they are not in PEM format").replace("_", " ").lower()
    return str(error)

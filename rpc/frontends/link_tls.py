"""Mutual TLS of the links between machines: both sides show a certificate that one authority has signed.

The files are looked at for each connection, and read again when they have changed. New ones that cannot be used are
said in the log, and those of before stay.
"""

import asyncio
import logging
import ssl
from typing import Any, NamedTuple

from rpc.frontends.link_greeting import OtherProtocol
from rpc.transport.certificates import TlsError, load_certificates, look_at_files
from rpc.transport.tls_files import TlsFiles

log = logging.getLogger(__name__)


class LinkTlsStatistics(NamedTuple):
    """How often files that had changed were taken, and how often they could not be used."""

    reloads: int
    reloads_failed: int


class LinkTls:
    """What one side shows, and whom it believes.

    Args:
        files: are read at once; `client_ca` is the authority of both sides.
        name: that the other side's certificate must have, beside being signed; empty: any.

    Raises:
        TlsError: they cannot be used.
    """

    def __init__(self, files: TlsFiles, name: str = "") -> None:
        assert files.client_ca, "an authority is needed"
        self._files = files
        self._name = name
        self._seen = look_at_files(files)
        self._contexts = _contexts(files)
        self._reloads = self._reloads_failed = 0

    def __repr__(self) -> str:
        return f"<LinkTls {self._files.certificate} name={self._name!r}>"

    def statistics(self) -> LinkTlsStatistics:
        return LinkTlsStatistics(self._reloads, self._reloads_failed)

    def of_owner(self) -> ssl.SSLContext:
        """For a connection that was accepted."""
        return self._newest()[0]

    def of_router(self) -> ssl.SSLContext:
        """For a connection to an owner, whose certificate must have the name by which it was looked for."""
        return self._newest()[1]

    def check_name(self, transport: asyncio.BaseTransport) -> None:
        """Raises `OtherProtocol` where the other side's certificate has another name."""
        if not self._name:
            return
        names = [name for kind, name in _alternatives(transport.get_extra_info("peercert")) if kind in ("DNS", "URI")]
        if self._name not in names:
            has = " and ".join(names) or "none"
            raise OtherProtocol(f"The router's certificate has not the name {self._name}, but {has}.")

    def _newest(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        seen = look_at_files(self._files)
        if seen != self._seen:
            self._seen = seen
            try:
                self._contexts = _contexts(self._files)
            except TlsError as error:
                self._reloads_failed += 1
                log.error("link_tls_not_reloaded", extra={"reason": str(error)})
            else:
                self._reloads += 1
                log.info("link_tls_reloaded", extra={"certificate": self._files.certificate})
        return self._contexts


def _contexts(files: TlsFiles) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in contexts:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        load_certificates(files, context)
    return contexts


def _alternatives(certificate: Any) -> list[tuple[str, str]]:
    return list((certificate or {}).get("subjectAltName", ()))

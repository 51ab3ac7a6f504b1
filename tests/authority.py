"""A certificate authority of the tests, and the files that it makes."""

from pathlib import Path

import trustme

from rpc.transport.tls_files import TlsFiles


class Authority:
    """Issues certificates, and writes them to files.

    Args:
        place: of the files.
        name: begins their names.
    """

    def __init__(self, place: Path, name: str) -> None:
        self._place = place
        self._name = name
        self._ca = trustme.CA()
        self.file = self._write("ca", self._ca.cert_pem.bytes())

    def files(self, *, client_ca: Path | None = None) -> TlsFiles:
        """The files of a certificate for localhost, always the same two."""
        leaf = self._ca.issue_cert("localhost")
        certificate = self._write("cert", b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key = self._write("key", leaf.private_key_pem.bytes())
        return TlsFiles(str(certificate), str(key), str(client_ca or ""))

    def spoil_key(self) -> None:
        self._write("key", b"nothing")

    def spoil_ca(self) -> None:
        self._write("ca", b"nothing")

    def _write(self, what: str, content: bytes) -> Path:
        path = self._place / f"{self._name}-{what}.pem"
        path.write_bytes(content)
        return path

"""Where the server's certificate and key are. It imports nothing of gRPC's, so that the command line starts fast."""

from msgspec import Struct


class TlsFiles(Struct, frozen=True):
    """Files in PEM format.

    Args:
        certificate: the server's, followed by those that lead to a known one.
        key: the certificate's, without a password.
        client_ca: of those whose certificates callers must have; empty: callers need none.
    """

    certificate: str
    key: str
    client_ca: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ()))

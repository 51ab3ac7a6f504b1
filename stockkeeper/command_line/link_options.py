"""Options of the links between routers and the owners of cells."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from msgspec.structs import replace

from rpc.transport.tls_files import TlsFiles
from stockkeeper.config import CellsConfig, ConfigurationError


@dataclass(frozen=True, kw_only=True)
class LinkTlsOptions:
    """What both sides of a link between machines show. The files are read again when they change."""

    link_cert: Annotated[
        str,
        Parameter(
            help="A file with the certificate that the other side of a link between machines is shown.",
            env_var="STOCKKEEPER_LINK_CERT",
        ),
    ] = ""
    link_key: Annotated[
        str,
        Parameter(
            help="A file with that certificate's key, without a password.",
            env_var="STOCKKEEPER_LINK_KEY",
        ),
    ] = ""
    link_ca: Annotated[
        str,
        Parameter(
            help="A file with the certificates of those who must have signed the other side's certificate.",
            env_var="STOCKKEEPER_LINK_CA",
        ),
    ] = ""

    @property
    def files(self) -> TlsFiles | None:
        """The files; None without TLS.

        Raises:
            ConfigurationError: one of them is missing.
        """
        given = (self.link_cert, self.link_key, self.link_ca)
        if any(given) and not all(given):
            raise ConfigurationError("TLS of links needs all three: --link-cert, --link-key and --link-ca.")
        return TlsFiles(*given) if self.link_cert else None


@dataclass(frozen=True, kw_only=True)
class LinkOptions(LinkTlsOptions):
    """Where a cell takes its routers."""

    link_listen: Annotated[
        str,
        Parameter(
            help="Where routers reach this cell, beside what the map says: host:port, with TLS, or unix:/path.",
            env_var="STOCKKEEPER_LINK_LISTEN",
        ),
    ] = ""
    link_name: Annotated[
        str,
        Parameter(
            help="The name that a router's certificate must have, beside being signed; by default any.",
            env_var="STOCKKEEPER_LINK_NAME",
        ),
    ] = ""

    def added_to(self, cell: CellsConfig | None) -> CellsConfig | None:
        """The cell with its links.

        Raises:
            ConfigurationError: half of it is missing.
        """
        files = self.files
        if cell is not None:
            return replace(cell, link_listen=self.link_listen, link_tls=files, link_name=self.link_name)
        if self.link_listen or self.link_name or files:
            raise ConfigurationError("Routers reach a cell: --link-listen and its like go with --cell.")
        return None


LinkTls = Annotated[LinkTlsOptions, Parameter(name="*")]
Links = Annotated[LinkOptions, Parameter(name="*")]
LINK_IN_THE_CLEAR, NO_LINKS = LinkTlsOptions(), LinkOptions()

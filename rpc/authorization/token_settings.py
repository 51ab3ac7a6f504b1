"""What a server is told of bearer tokens (JWT). What checks them is imported only where there are such settings."""

from typing import Literal

from msgspec import Struct

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""Signatures by keys of which the server has the public half alone: never `none`, and never a shared key."""


class TokenError(Exception):
    """Tokens cannot be checked so. Its text is one sentence for the operator."""


class TokenSettings(Struct, frozen=True):
    """Which tokens are good, and what they say.

    Args:
        jwks: the issuer's public keys: a file, or an https URL.
        issuer: the `iss` that tokens must have.
        audience: the `aud` that tokens must have, or have among others.
        leeway_s: by how much the issuer's clock and this machine's may differ, in seconds.
        algorithms: by which tokens may be signed.
        organizations_claim: the claim with the organizations, a text or a list of texts; "*" for all.
        scopes_claim: the claim with the scopes, separated by spaces or in a list; those of others are passed over.
    """

    jwks: str
    issuer: str
    audience: str
    leeway_s: int = 30
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    organizations_claim: str = "organizations"
    scopes_claim: str = "scope"

    @property
    def is_remote(self) -> bool:
        """Whether the keys are fetched over a network."""
        return "://" in self.jwks

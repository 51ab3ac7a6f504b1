"""What `stockkeeper serve` is told of bearer tokens."""

from dataclasses import dataclass
from typing import Annotated, get_args

from cyclopts import Parameter
from msgspec import ValidationError, convert

from rpc.authorization.token_settings import Algorithm as TokenAlgorithm
from rpc.authorization.token_settings import TokenSettings
from stockkeeper.command_line.parameters import whole
from stockkeeper.config import ConfigurationError

LEEWAY_S_MAX = 600


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TokenOptions:
    """Tokens (JWT) that callers may have instead of keys."""

    token_jwks: Annotated[str, Parameter(env_var="GRPC_TOKEN_JWKS")] = ""
    """The issuer's public keys, a JSON Web Key Set: a file, or an https URL. They are read again."""
    token_issuer: Annotated[str, Parameter(env_var="GRPC_TOKEN_ISSUER")] = ""
    """Who must have issued the tokens (iss)."""
    token_audience: Annotated[str, Parameter(env_var="GRPC_TOKEN_AUDIENCE")] = ""
    """For whom they must be (aud)."""
    token_leeway_s: Annotated[int, whole(0, LEEWAY_S_MAX), Parameter(env_var="GRPC_TOKEN_LEEWAY_S")] = 30
    """By how many seconds the issuer's clock and this one may differ."""
    token_algorithms: Annotated[str, Parameter(env_var="GRPC_TOKEN_ALGORITHMS")] = "RS256,ES256"
    """How tokens may be signed, separated by commas."""
    token_organizations_claim: Annotated[str, Parameter(env_var="GRPC_TOKEN_ORGANIZATIONS_CLAIM")] = "organizations"
    """The claim that names the organizations whose stock the caller may see and change; "*" for all."""
    token_scopes_claim: Annotated[str, Parameter(env_var="GRPC_TOKEN_SCOPES_CLAIM")] = "scope"
    """The claim that names the scopes, separated by spaces or as a list."""

    def settings(self) -> TokenSettings | None:
        """What they amount to; None without keys.

        Raises:
            ConfigurationError: they do not go together, or name an algorithm that tokens cannot be signed with here.
        """
        if not self.token_jwks:
            if self.token_issuer or self.token_audience:
                raise ConfigurationError("Tokens need their issuer's keys: --token-jwks.")
            return None
        if not self.token_issuer or not self.token_audience:
            raise ConfigurationError(
                "Tokens of another issuer, or for another service, are not for this one: --token-jwks needs"
                " --token-issuer and --token-audience."
            )
        return TokenSettings(
            self.token_jwks,
            self.token_issuer,
            self.token_audience,
            self.token_leeway_s,
            _algorithms(self.token_algorithms),
            self.token_organizations_claim,
            self.token_scopes_claim,
        )


def _algorithms(text: str) -> tuple[TokenAlgorithm, ...]:
    names = [name.strip() for name in text.split(",")]
    try:
        return convert(names, tuple[TokenAlgorithm, ...])
    except ValidationError:
        raise ConfigurationError(
            f"--token-algorithms must be some of {', '.join(get_args(TokenAlgorithm))}, not {text!r}."
        ) from None

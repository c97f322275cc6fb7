"""The channel's signing keys: made here, published as OpenID metadata, changed when asked for."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://api.botframework.com"  # what Bot Framework's own tokens say


def new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class SigningKey:
    """A key pair with its name. It is made when it is first used, for that takes a while."""

    kid: str
    endorsements: tuple[str, ...] = ("msteams",)

    @cached_property
    def private(self) -> RSAPrivateKey:
        return new_key()

    def published(self) -> dict[str, Any]:
        jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "use": "sig", "endorsements": list(self.endorsements)}


class SigningKeys:
    """Signs what the channel would sign, and what it would not."""

    def __init__(self, *, endorsements: tuple[str, ...] = ("msteams",)) -> None:
        self._endorsements = endorsements
        self._made = 0
        self.published: list[SigningKey] = []
        self.rotate()

    @property
    def current(self) -> SigningKey:
        return self.published[-1]

    def rotate(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on; its kid. The old ones stay published, or go."""
        self._made += 1
        key = SigningKey(f"key-{self._made}", self._endorsements)
        self.published = [*self.published, key] if keep_old else [key]
        return key.kid

    def sign(
        self,
        claims: dict[str, Any],
        *,
        kid: str | None = None,
        key: RSAPrivateKey | str | None = None,
        alg: str = "RS256",
    ) -> str:
        """A token with exactly those claims. ``kid`` alone is only told: the current key signs."""
        return jwt.encode(
            claims, key or self.current.private, algorithm=alg, headers={"kid": kid or self.current.kid}
        )

    def channel_token(self, *, app_id: str, service_url: str, age_seconds: float = 0, **claims: Any) -> str:
        """What Bot Framework sends with a turn, issued ``age_seconds`` ago for one hour; ``claims`` win."""
        issued_at = int(time.time() - age_seconds)
        usual = {
            "iss": ISSUER,
            "aud": app_id,
            "serviceurl": service_url,
            "nbf": issued_at,
            "exp": issued_at + 3600,
        }
        return self.sign({**usual, **claims})

    def metadata(self, base_url: str) -> dict[str, Any]:
        return {
            "issuer": ISSUER,
            "authorization_endpoint": "https://invalid.botframework.com",
            "jwks_uri": f"{base_url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        }

    def key_set(self) -> dict[str, Any]:
        return {"keys": [key.published() for key in self.published]}

"""Headers that no channel sends: forged, mangled or borrowed tokens, each by its name."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://api.botframework.com"
BOT_FRAMEWORK_TENANT = "d6d49420-f39b-4df7-a1dc-d59a935871db"
ANOTHER_APP = "33333333-3333-4333-8333-333333333333"
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Forger:
    """Knows what the channel's token for one turn looks like. ``key`` is the channel's own, so that what is
    refused is refused for the fault alone: where a forger could not have the key, STRANGER signs."""

    def __init__(self, key: rsa.RSAPrivateKey, *, key_id: str, app_id: str, service_url: str) -> None:
        self.key = key
        self.key_id = key_id
        self.app_id = app_id
        self.service_url = service_url

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The channel's claims; a change to None leaves the claim out."""
        now = int(time.time())
        given = {
            "iss": ISSUER,
            "aud": self.app_id,
            "serviceurl": self.service_url,
            "nbf": now - 60,
            "exp": now + 3540,
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def token(
        self,
        *,
        key: Any = None,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """As the channel signs it, but for what is given."""
        named = {"kid": self.key_id, **(headers or {})}
        return jwt.encode(self.claims(**changes), key or self.key, algorithm=algorithm, headers=named)

    def signed(self, payload: bytes, **headers: Any) -> str:
        """Any payload and header under the channel's true signature; a header of None is left out."""
        named = {"alg": "RS256", "typ": "JWT", "kid": self.key_id, **headers}
        header = json.dumps({name: value for name, value in named.items() if value is not None})
        signing_input = f"{encoded(header.encode())}.{encoded(payload)}"
        signature = RS256.sign(signing_input.encode(), self.key)
        return f"{signing_input}.{encoded(signature)}"

    def payload(self, **changes: Any) -> bytes:
        return json.dumps(self.claims(**changes)).encode()

    def unsigned(self, algorithm: Any) -> str:
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": self.key_id})
        return f"{encoded(header.encode())}.{encoded(self.payload())}."

    def signed_by_secret(self, secret: bytes) -> str:
        """HS256, the published key taken for the secret: RFC 8725, section 2.1."""
        header = json.dumps({"alg": "HS256", "typ": "JWT", "kid": self.key_id})
        signing_input = f"{encoded(header.encode())}.{encoded(self.payload())}"
        signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{encoded(signature)}"

    @property
    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_jwk(self) -> bytes:
        return json.dumps(public_jwk(self.key)).encode()

    def parts(self) -> list[str]:
        return self.token().split(".")


RS256 = jwt.get_algorithm_by_name("RS256")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    made: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return made


def last_character_changed(token: str) -> str:
    """The same token but for one bit of its signature that counts."""
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


def _payload_of_another(forger: Forger) -> str:
    header, _, signature = forger.parts()
    return f"{header}.{encoded(forger.payload(serviceurl=forger.service_url, sub='admin'))}.{signature}"


def _told_twice(forger: Forger, name: str, first: Any) -> str:
    payload = forger.payload()
    return forger.signed(b"{" + json.dumps({name: first})[1:-1].encode() + b", " + payload[1:])


def _now() -> int:
    return int(time.time())


Forgery = Callable[[Forger], str]

# What follows "Bearer ".
TOKENS: dict[str, Forgery] = {
    "alg none": lambda f: f.unsigned("none"),
    "alg None": lambda f: f.unsigned("None"),
    "alg NONE": lambda f: f.unsigned("NONE"),
    "alg nOnE": lambda f: f.unsigned("nOnE"),
    "alg empty": lambda f: f.unsigned(""),
    "alg null": lambda f: f.unsigned(None),
    "alg a list": lambda f: f.unsigned(["RS256"]),
    "alg none with a signature": lambda f: f.unsigned("none") + f.parts()[2],
    "no alg": lambda f: f.signed(f.payload(), alg=None),
    "alg rs256 in lower case": lambda f: f.signed(f.payload(), alg="rs256"),
    "HS256 by the public key as PEM": lambda f: f.signed_by_secret(f.public_pem),
    "HS256 by the public key as JWK": lambda f: f.signed_by_secret(f.public_jwk),
    "HS256 by nothing": lambda f: f.signed_by_secret(b""),
    "RS384": lambda f: f.token(algorithm="RS384"),
    "RS512": lambda f: f.token(algorithm="RS512"),
    "PS256": lambda f: f.token(algorithm="PS256"),
    "ES256": lambda f: f.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
    "RS256 named over a signature of RS384": lambda f: (
        f"{f.parts()[0]}.{'.'.join(f.token(algorithm='RS384').split('.')[1:])}"
    ),
    "unsigned": lambda f: ".".join(f.parts()[:2]),
    "empty signature": lambda f: ".".join(f.parts()[:2]) + ".",
    "signature of zeros": lambda f: ".".join(f.parts()[:2]) + "." + encoded(bytes(256)),
    "truncated signature": lambda f: f.token()[:-20],
    "truncated payload": lambda f: f"{f.parts()[0]}.{f.parts()[1][:-8]}.{f.parts()[2]}",
    "a character changed": lambda f: last_character_changed(f.token()),
    "an extra segment": lambda f: f.token() + ".e30",
    "an empty extra segment": lambda f: f.token() + ".",
    "padded": lambda f: f.token() + "=",
    "five segments, as encrypted": lambda f: f.token() + ".e30.e30",
    "signature of another payload": _payload_of_another,
    "signature of another header": lambda f: (
        f"{f.token(headers={'typ': 'at+jwt'}).split('.')[0]}." + ".".join(f.parts()[1:])
    ),
    "signed by a stranger": lambda f: f.token(key=STRANGER),
    "of another issuer": lambda f: f.token(iss="https://evil.example"),
    "issuer with a slash": lambda f: f.token(iss=ISSUER + "/"),
    "issuer in upper case": lambda f: f.token(iss=ISSUER.upper()),
    "issuer by http": lambda f: f.token(iss=ISSUER.replace("https", "http")),
    "issuer with a suffix": lambda f: f.token(iss=ISSUER + ".evil.example"),
    "issuer as a user": lambda f: f.token(iss=ISSUER + "@evil.example"),
    "issuer with a look-alike letter": lambda f: f.token(iss=ISSUER.replace("a", "\u0430", 1)),
    "issuer with a line feed": lambda f: f.token(iss=ISSUER + "\n"),
    "issuer of another cloud": lambda f: f.token(iss="https://api.botframework.us"),
    "of the emulator, version 1": lambda f: f.token(
        iss=f"https://sts.windows.net/{BOT_FRAMEWORK_TENANT}/", appid=f.app_id, ver="1.0"
    ),
    "of the emulator, version 2": lambda f: f.token(
        iss=f"https://login.microsoftonline.com/{BOT_FRAMEWORK_TENANT}/v2.0", azp=f.app_id, ver="2.0"
    ),
    "issuer a list": lambda f: f.signed(f.payload(iss=[ISSUER])),
    "issuer null": lambda f: f.signed(json.dumps({**f.claims(), "iss": None}).encode()),
    "no issuer": lambda f: f.token(iss=None),
    "for another app": lambda f: f.token(aud=ANOTHER_APP),
    "audience a list with ours": lambda f: f.token(aud=[ANOTHER_APP, f.app_id]),
    "audience a list of ours": lambda f: f.token(aud=[f.app_id]),
    "audience an object": lambda f: f.signed(f.payload(aud={f.app_id: True})),
    "audience empty": lambda f: f.token(aud=""),
    "no audience": lambda f: f.token(aud=None),
    "audience with a suffix": lambda f: f.token(aud=f.app_id + "-0"),
    "audience a URI of another scheme": lambda f: f.token(aud=f"spn:{f.app_id}"),
    "no service URL": lambda f: f.token(serviceurl=None),
    "service URL null": lambda f: f.signed(json.dumps({**f.claims(), "serviceurl": None}).encode()),
    "service URL empty": lambda f: f.token(serviceurl=""),
    "service URL a list": lambda f: f.token(serviceurl=[f.service_url]),
    "another service URL": lambda f: f.token(serviceurl="https://evil.example/"),
    "service URL in upper case": lambda f: f.token(serviceurl=f.service_url.upper()),
    "service URL with a longer path": lambda f: f.token(serviceurl=f.service_url + "/more"),
    "service URL as serviceUrl": lambda f: f.token(serviceurl=None, serviceUrl=f.service_url),
    "unknown key": lambda f: f.token(headers={"kid": "nobody-knows"}),
    "unknown key of a stranger": lambda f: f.token(key=STRANGER, headers={"kid": "nobody-knows"}),
    "no key named": lambda f: f.signed(f.payload(), kid=None),
    "key name empty": lambda f: f.signed(f.payload(), kid=""),
    "key name a number": lambda f: f.signed(f.payload(), kid=1),
    "key name a list": lambda f: f.signed(f.payload(), kid=[f.key_id]),
    "key name a path": lambda f: f.token(key=STRANGER, headers={"kid": "../../dev/null"}),
    "key name a URL": lambda f: f.token(key=STRANGER, headers={"kid": "https://evil.example/key"}),
    "key name very long": lambda f: f.token(key=STRANGER, headers={"kid": "k" * 1000}),
    "jku to a stranger's keys": lambda f: f.token(key=STRANGER, headers={"jku": "https://evil.example/keys"}),
    "x5u to a stranger's certificate": lambda f: f.token(
        key=STRANGER, headers={"x5u": "https://evil.example/certificate"}
    ),
    "jwk of a stranger": lambda f: f.token(key=STRANGER, headers={"jwk": public_jwk(STRANGER)}),
    "unknown critical header": lambda f: f.signed(f.payload(), crit=["exp"], exp=1),
    "critical header empty": lambda f: f.signed(f.payload(), crit=[]),
    "payload apart": lambda f: f.signed(f.payload(), crit=["b64"], b64=False),
    "expired": lambda f: f.token(nbf=_now() - 7200, exp=_now() - 3600),
    "expired just outside the skew": lambda f: f.token(nbf=_now() - 3600, exp=_now() - 301),
    "not yet valid": lambda f: f.token(nbf=_now() + 900),
    "not yet valid just outside the skew": lambda f: f.token(nbf=_now() + 310),
    "no exp": lambda f: f.token(exp=None),
    "no nbf": lambda f: f.token(nbf=None),
    "exp null": lambda f: f.signed(json.dumps({**f.claims(), "exp": None}).encode()),
    "exp as text": lambda f: f.signed(f.payload(exp=str(_now() + 600))),
    "exp a fraction": lambda f: f.signed(f.payload(exp=time.time() + 600)),
    "exp true": lambda f: f.signed(f.payload(exp=True)),
    "exp huge": lambda f: f.token(exp=10**18),
    "exp beyond all numbers": lambda f: f.signed(f.payload(exp=0).replace(b'"exp": 0', b'"exp": 1e999')),
    "exp of too many digits": lambda f: f.signed(
        f.payload(exp=0).replace(b'"exp": 0', b'"exp": ' + b"9" * 400)
    ),
    "exp negative": lambda f: f.token(exp=-1),
    "exp NaN": lambda f: f.signed(f.payload(exp=float("nan"))),
    "exp infinite": lambda f: f.signed(f.payload(exp=float("inf"))),
    "nbf as text": lambda f: f.signed(f.payload(nbf=str(_now() - 60))),
    "nbf a fraction": lambda f: f.signed(f.payload(nbf=time.time() - 60)),
    "nbf NaN": lambda f: f.signed(f.payload(nbf=float("nan"))),
    "valid for a year": lambda f: f.token(exp=_now() + 365 * 24 * 3600),
    "valid for a minute more than two days": lambda f: f.token(nbf=_now(), exp=_now() + 48 * 3600 + 60),
    "issued in the future": lambda f: f.token(iat=_now() + 3600),
    "issuer told twice": lambda f: _told_twice(f, "iss", "https://evil.example"),
    "audience told twice": lambda f: _told_twice(f, "aud", ANOTHER_APP),
    "exp told twice": lambda f: _told_twice(f, "exp", 1),
    "payload no JSON": lambda f: f.signed(b"not json"),
    "payload empty": lambda f: f.signed(b""),
    "payload an array": lambda f: f.signed(b"[" + f.payload() + b"]"),
    "payload a text": lambda f: f.signed(json.dumps(f.payload().decode()).encode()),
    "payload null": lambda f: f.signed(b"null"),
    "payload no UTF-8": lambda f: f.signed(b'{"iss": "\xff"}'),
    "payload nested deep": lambda f: f.signed(b"[" * 1500),
    "header no JSON": lambda f: f"{encoded(b'not json')}.{'.'.join(f.parts()[1:])}",
    "header an array": lambda f: f"{encoded(b'[]')}.{'.'.join(f.parts()[1:])}",
    "header null": lambda f: f"{encoded(b'null')}.{'.'.join(f.parts()[1:])}",
    "oversized": lambda f: f.token(filler="x" * 3_500),
    "not a token": lambda _: "not-a-token",
    "dots alone": lambda _: "..",
    "a character of no base64": lambda f: f.token().replace(".", ".!", 1),
    "standard base64": lambda f: f.token().replace(".", ".+/", 1),
    "white space within": lambda f: f.token().replace(".", ". ", 1),
    "letters of other scripts": lambda f: f.token().replace(".", ".\u0435", 1),
    "digits of other scripts": lambda f: f.token().replace(".", ".\u0661", 1),
}

HEADERS: dict[str, Forgery] = {
    "scheme Basic": lambda f: f"Basic {f.token()}",
    "scheme in lower case": lambda f: f"bearer {f.token()}",
    "scheme in upper case": lambda f: f"BEARER {f.token()}",
    "no scheme": lambda f: f.token(),
    "scheme alone": lambda _: "Bearer",
    "scheme twice": lambda f: f"Bearer Bearer {f.token()}",
    "two spaces": lambda f: f"Bearer  {f.token()}",
    "a tab": lambda f: f"Bearer\t{f.token()}",
    "two tokens": lambda f: f"Bearer {f.token()} {f.token()}",
    "two tokens with a comma": lambda f: f"Bearer {f.token()}, Bearer {f.token()}",
    "in quotes": lambda f: f'Bearer "{f.token()}"',
    "as a parameter": lambda f: f"Bearer token={f.token()}",
}


def _bearer(forgery: Forgery) -> Forgery:
    return lambda forger: f"Bearer {forgery(forger)}"


# Whole values of the header Authorization. All can be sent as HTTP.
FORGERIES: dict[str, Forgery] = {**{name: _bearer(made) for name, made in TOKENS.items()}, **HEADERS}

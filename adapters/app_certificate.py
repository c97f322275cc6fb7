"""The app's certificate as msal takes it, from what a setting can hold."""

import base64
import binascii
import re

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


def client_credential(text: str) -> dict[str, str]:
    """msal's ``client_credential``. Given no thumbprint, msal makes it (SHA-256), and sends the certificate
    along, by which Entra can trust subject and issuer instead of one certificate.

    ``text``: PEM with private key and certificate, or a PFX without password in base64, which is what a Key
    Vault reference to a certificate gives. Raises ValueError, which quotes nothing.
    """
    try:
        key, certificates = _from_pem(text) if "-----BEGIN" in text else _from_pfx(text)
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("neither PEM with key and certificate nor a PFX without password") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not a certificate with an RSA key")
    for certificate in certificates:
        if certificate.public_key() == key.public_key():
            return {
                "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
                "public_certificate": certificate.public_bytes(Encoding.PEM).decode(),
            }
    raise ValueError("no certificate that belongs to the key")


def _from_pem(text: str) -> tuple[object, list[x509.Certificate]]:
    pem = text.replace("\\n", "\n")  # many a tool writes the lines of a setting as one
    key = PRIVATE_KEY.search(pem)
    if key is None:
        raise ValueError("no private key")
    return load_pem_private_key(key[0].encode(), None), x509.load_pem_x509_certificates(pem.encode())


def _from_pfx(text: str) -> tuple[object, list[x509.Certificate]]:
    key, certificate, others = pkcs12.load_key_and_certificates(base64.b64decode(text, validate=True), None)
    return key, [certificate, *others] if certificate else others

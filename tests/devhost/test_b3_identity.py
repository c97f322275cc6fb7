"""Contract B3: queues and blobs by a managed identity, on a real Azurite that asks for tokens over https."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devhost.storage.storage_connection import STORAGE_API_VERSION
from local.azurite import ACCOUNT, ACCOUNT_KEY, program
from local.node import node_binary, node_environment
from local.ports import LOOPBACK, Ports
from local.processes import ChildProcess
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until
from tests.devhost.written_app import write_app

APP = """
app = func.FunctionApp()

@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
@app.blob_output(arg_name="out", path="box/{id}.txt", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="note", queue_name="notes", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage, out: func.Out[str], note: func.Out[str]) -> None:
    out.set(msg.get_body().decode().upper())
    note.set(msg.id)
"""


@dataclass
class IdentityEndpoint:
    """What App Service gives an app to ask for tokens of its managed identity."""

    asked: list[str] = field(default_factory=list)
    url: str = ""
    header: str = "the app's own"

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/a-tenant/",
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 3600,
        }
        return jwt.encode(claims, "nobody checks this signature, which is long enough", algorithm="HS256")


@pytest.fixture
def identity() -> Iterator[IdentityEndpoint]:
    endpoint = IdentityEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            endpoint.asked.append(self.path)
            is_ours = self.headers.get("X-IDENTITY-HEADER") == endpoint.header
            content = {"access_token": endpoint.token(), "expires_on": str(int(time.time()) + 3600)}
            body = json.dumps({**content, "token_type": "Bearer", "resource": "https://storage.azure.com"})
            self.send_response(200 if is_ours else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode() if is_ours else b"{}")

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        endpoint.url = f"http://{LOOPBACK}:{server.server_port}/msi/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield endpoint
        server.shutdown()
        thread.join()


def write_certificate(place: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = place / "certificate.pem", place / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_path, key_path


@dataclass(frozen=True)
class TlsAzurite:
    """An Azurite over https; the test itself comes with the account's key."""

    ports: Ports
    certificate: Path

    def url(self, port: int) -> str:
        return f"https://{LOOPBACK}:{port}/{ACCOUNT}"

    def queue(self, name: str) -> QueueClient:
        return QueueClient(self.url(self.ports.azurite_queue_port), name, **self._options)

    def blob(self, name: str) -> BlobClient:
        return BlobClient(self.url(self.ports.azurite_blob_port), "box", name, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "credential": {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY},
            "api_version": STORAGE_API_VERSION,
            "connection_verify": str(self.certificate),
        }


@pytest.fixture(scope="module")
def tls_azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsAzurite]:
    home = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(home)
    ports, place = Ports.free(), home / "azurite"
    place.mkdir()
    listening = (ports.azurite_blob_port, ports.azurite_queue_port, ports.azurite_table_port)
    command: list[str | Path] = [node_binary(), program(), "--inMemoryPersistence", "--disableTelemetry"]
    command += ["--silent", "--skipApiVersionCheck", "--oauth", "basic", "--cert", certificate, "--key", key]
    for kind, port in zip(("blob", "queue", "table"), listening, strict=True):
        command += [f"--{kind}Host", LOOPBACK, f"--{kind}Port", str(port)]
    process = ChildProcess.start(
        "Azurite",
        command,
        log_path=home / "azurite.log",
        directory=place,
        environment=node_environment(home / "refused.log"),
    )
    try:
        process.wait_until(lambda: all(map(is_open, listening)), seconds=30)
        yield TlsAzurite(ports, certificate)
    finally:
        process.stop()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def test_queues_and_blobs_are_reached_by_a_managed_identity(
    tls_azurite: TlsAzurite, identity: IdentityEndpoint, start_host: StartHost, tmp_path: Path
) -> None:
    host_json = '{"version": "2.0", "extensions": {"queues": {"messageEncoding": "none"}}}'
    app = write_app(tmp_path / "app", APP, host_json)
    environment = {
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__queueServiceUri": tls_azurite.url(tls_azurite.ports.azurite_queue_port),
        "AzureWebJobsStorage__blobServiceUri": tls_azurite.url(tls_azurite.ports.azurite_blob_port),
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "an-identity-of-the-user's",
        "IDENTITY_ENDPOINT": identity.url,
        "IDENTITY_HEADER": identity.header,
        "SSL_CERT_FILE": str(tls_azurite.certificate),
    }
    with tls_azurite.queue("work") as work, tls_azurite.queue("notes") as notes:
        work.create_queue()
        sent = work.send_message("by an identity")
        host = start_host(app, environment=environment).wait_until_up()

        with tls_azurite.blob(f"{sent.id}.txt") as blob:

            def went_through() -> bool:
                with suppress(ResourceNotFoundError):
                    is_noted = [message.content for message in notes.peek_messages()] == [sent.id]
                    return is_noted and blob.download_blob().readall() == b"BY AN IDENTITY"
                return False

            until(went_through, seconds=30, why=f"the message goes through\n{host.log}")
        assert host.stop() == 0
    assert identity.asked
    assert all("resource=https" in path and "client_id=an-identity" in path for path in identity.asked)
    assert identity.token().split(".")[0] not in host.log


def test_an_identity_that_gives_no_token_is_said_and_waited_for(
    tls_azurite: TlsAzurite, identity: IdentityEndpoint, start_host: StartHost, tmp_path: Path
) -> None:
    environment = {
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__queueServiceUri": tls_azurite.url(tls_azurite.ports.azurite_queue_port),
        "AzureWebJobsStorage__blobServiceUri": tls_azurite.url(tls_azurite.ports.azurite_blob_port),
        "AzureWebJobsStorage__credential": "managedidentity",
        "IDENTITY_ENDPOINT": identity.url,
        "IDENTITY_HEADER": "somebody else's",
        "SSL_CERT_FILE": str(tls_azurite.certificate),
    }
    host = start_host(write_app(tmp_path / "app", APP), environment=environment).wait_until_up()
    until(lambda: "The queue 'work' cannot be reached" in host.log, seconds=30, why=host.log)
    assert "somebody else's" not in host.log
    assert "Traceback" not in host.log
    assert host.stop() == 0

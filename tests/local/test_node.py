"""Node tools are kept to this machine: they listen on loopback, and what they call elsewhere is refused."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from local.node import node_binary, node_environment


def run_in_node(script: str, refusals: Path) -> str:
    done = subprocess.run(
        [node_binary(), "-e", script],
        env={**os.environ, **node_environment(refusals)},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        "0",
        "0, () => {}",
        "0, '0.0.0.0'",
        "'0'",
        "{ port: 0 }",
        "{ port: 0, host: '::' }",
        # Without a port Node takes any.
        "",
        "() => {}",
        "undefined",
        "undefined, '0.0.0.0', () => {}",
        "null",
        "null, () => {}",
        "{ port: undefined }",
        "{ port: null }",
    ],
)
def test_a_server_listens_on_loopback_whatever_it_asks_for(tmp_path: Path, arguments: str) -> None:
    script = f"""
        const server = require('net').createServer();
        server.on('listening', () => {{ console.log(server.address().address); server.close(); }});
        server.listen({arguments});
    """
    assert run_in_node(script, tmp_path / "refused.log") == "127.0.0.1"


@pytest.mark.parametrize("arguments", ["path", "{ path }", "path, () => {}"])
def test_a_unix_socket_stays_one(tmp_path: Path, arguments: str) -> None:
    path = tmp_path / "its.sock"
    script = f"""
        const path = {json.dumps(str(path))};
        const server = require('net').createServer();
        server.on('listening', () => {{ console.log(server.address()); server.close(); }});
        server.listen({arguments});
    """
    assert run_in_node(script, tmp_path / "refused.log") == str(path)


@pytest.mark.parametrize(
    "call",
    [
        "require('net').connect(80, 'elsewhere.example').on('error', told)",
        "require('net').connect({ port: 80, host: 'elsewhere.example' }).on('error', told)",
        "require('https').get('https://elsewhere.example/').on('error', told)",
        "fetch('https://elsewhere.example/').catch((error) => told(error.cause))",
    ],
)
def test_a_call_to_another_machine_is_refused_and_noted(tmp_path: Path, call: str) -> None:
    script = f"function told(error) {{ console.log(error.code); }}\n{call};"
    assert run_in_node(script, tmp_path / "refused.log") == "ECONNREFUSED"
    assert "refused elsewhere.example" in (tmp_path / "refused.log").read_text(encoding="utf-8")

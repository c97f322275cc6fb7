"""Where the local stack listens: always on 127.0.0.1, on ports that can be chosen from outside."""

import os
import random
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from http.client import HTTPConnection, HTTPException

from local.processes import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel gives ports to outgoing connections: there the Playground,
# finding its port taken by one of those, takes another without a word.
FIRST_EPHEMERAL_PORT = 32768


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one stack; each can be set by the environment variable of its name."""

    azurite_blob_port: int = 10000
    azurite_queue_port: int = 10001
    azurite_table_port: int = 10002
    functions_port: int = 7071
    playground_port: int = 25150

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Ports":
        given = {
            field.name: _port(field.name.upper(), environment[field.name.upper()])
            for field in fields(cls)
            if environment.get(field.name.upper())
        }
        ports = cls(**given)
        ports.require_different()
        return ports

    @classmethod
    def free(cls) -> "Ports":
        """Ports on which nobody listens just now."""
        return cls(
            **dict(zip((field.name for field in fields(cls)), free_ports(len(fields(cls))), strict=True))
        )

    def require_different(self) -> None:
        """Raise StackError for the first port that is given twice."""
        taken: dict[int, str] = {}
        for field in fields(self):
            name, port = field.name.upper(), getattr(self, field.name)
            if port in taken:
                raise StackError(f"{taken[port]} and {name} are both {port}: choose another one for {name}")
            taken[port] = name

    def require_free(self) -> None:
        """Raise StackError for the first port on which somebody else listens."""
        for field in fields(self):
            port = getattr(self, field.name)
            if not is_free(port):
                raise StackError(
                    f"Port {port} is taken: stop what listens there (`ss -ltnp sport = :{port}` names it), "
                    f"or choose another one: {field.name.upper()}={port + 100} make run"
                )


def _port(name: str, text: str) -> int:
    if text.isdecimal() and 1 <= int(text) < FIRST_EPHEMERAL_PORT:
        return int(text)
    raise StackError(f"{name}={text} is not usable: give a port from 1 to {FIRST_EPHEMERAL_PORT - 1}")


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a closed one does not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        with closing(socket.create_connection((LOOPBACK, port), timeout=1)):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """``count`` different ports on which nobody listens; drawn, so that stacks started at once differ."""
    candidates = random.sample(range(20000, FIRST_EPHEMERAL_PORT), 40 * count)
    free = [port for port in candidates if is_free(port)][:count]
    if len(free) < count:
        raise StackError(f"Found no {count} free ports between 20000 and {FIRST_EPHEMERAL_PORT}")
    return free


def body_at(port: int, path: str) -> bytes | None:
    """What GET ``path`` is answered with there; None if it is not answered with 200."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    with closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read() if response.status == 200 else None
        except (OSError, HTTPException):
            return None

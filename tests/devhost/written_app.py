"""A function app that a test writes itself."""

from pathlib import Path

ONE = (
    "app = func.FunctionApp()\n@app.route(route='one')\n"
    "def one(req: func.HttpRequest) -> str:\n    return 'one'\n"
)


def write_app(place: Path, text: str, host_json: str = '{"version": "2.0"}') -> Path:
    """Write the two files of an app into a new directory, and return that."""
    place.mkdir()
    (place / "host.json").write_text(host_json)
    (place / "function_app.py").write_text("import azure.functions as func\n" + text)
    return place

"""ASP.NET route templates."""

import pytest

from devhost.http.route_template import compile_template


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("api/hello", "api/hello", {}),
        ("api/hello", "API/Hello/", {}),
        ("api/{a}/x/{b}", "api/1/x/2", {"a": "1", "b": "2"}),
        ("api/{a}", "api/a%20b", {"a": "a b"}),
        ("api/{a?}", "api", {}),
        ("api/{a?}", "api/1", {"a": "1"}),
        ("api/{*rest}", "api/a/b/c", {"rest": "a/b/c"}),
        ("api/{*rest}", "api", {}),
        ("api/{id:int}", "api/12", {"id": "12"}),
        ("api/{id:int?}", "api", {}),
        ("api/{a=1}", "api", {"a": "1"}),
        ("files/{name}.txt", "files/read.txt", {"name": "read"}),
        ("{a?}/{b?}", "1", {"a": "1"}),
        ("", "", {}),
    ],
)
def test_a_path_that_fits_gives_its_parameters(template: str, path: str, parameters: dict[str, str]) -> None:
    assert compile_template(template).match(path) == parameters


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("api/{a}", "api"),
        ("api/{a}", "api/1/2"),
        ("api/{id:int}", "api/x"),
        ("api/a.b", "api/acb"),
        ("api", "apix"),
    ],
)
def test_a_path_that_does_not_fit_gives_none(template: str, path: str) -> None:
    assert compile_template(template).match(path) is None


@pytest.mark.parametrize("template", ["api/{a", "api/a}", "{a}/{A}", "{id:regex(^x$)}", "{1a}"])
def test_a_template_that_means_nothing_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="route template"):
        compile_template(template)

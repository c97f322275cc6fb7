"""B2: the route templates of ASP.NET, as HTTP triggers use them."""

import pytest

from devhost.http.route_template import compile_template


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("api/hello", "/api/hello", {}),
        ("api/hello", "/API/Hello/", {}),
        ("/api/hello/", "/api/hello", {}),
        ("~/api/hello", "/api/hello", {}),
        ("api/{a}/x/{b}", "/api/1/X/2", {"a": "1", "b": "2"}),
        ("api/{a}", "/api/a b", {"a": "a b"}),
        ("api/{a}", "/api/a%2Fb", {"a": "a%2Fb"}),
        ("api/{a?}", "/api", {}),
        ("api/{a?}", "/api/1", {"a": "1"}),
        ("api/{a=1}", "/api", {"a": "1"}),
        ("api/{a=1}", "/api/2", {"a": "2"}),
        ("api/{a=}", "/api", {"a": ""}),
        ("api/{a=1}/{b?}", "/api", {"a": "1"}),
        ("api/{*rest}", "/api/a/b/c", {"rest": "a/b/c"}),
        ("api/{**rest}", "/api/a/b/", {"rest": "a/b/"}),
        ("api/{*rest}", "/api/a//b", {"rest": "a//b"}),
        ("api/{*rest}", "/api", {}),
        ("api/{*rest=x/y}", "/api", {"rest": "x/y"}),
        ("{*rest}", "/", {}),
        ("api/{Name}", "/api/x", {"Name": "x"}),
        ("api/{:x}", "/api/1", {":x": "1"}),
        ("{a?}/{b?}", "/1", {"a": "1"}),
        ("", "/", {}),
        ("api/{{x}}", "/api/{x}", {}),
        ("files/{name}.txt", "/files/read.me.TXT", {"name": "read.me"}),
        ("files/{name}.{ext?}", "/files/a.b.c", {"name": "a.b", "ext": "c"}),
        ("files/{name}.{ext?}", "/files/a", {"name": "a"}),
        ("v{major}.{minor}", "/v1.2", {"major": "1", "minor": "2"}),
        ("{a}-{b}-{c}", "/1-2-3-4", {"a": "1-2", "b": "3", "c": "4"}),
        ("{a}aa{b}", "/aaaa", {"a": "a", "b": "a"}),
    ],
)
def test_a_path_that_fits_gives_its_parameters(template: str, path: str, parameters: dict[str, str]) -> None:
    assert compile_template(template).match(path) == parameters


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("api/{a}", "/api"),
        ("api/{a}", "/api/1/2"),
        ("api/{a}", "/api//"),
        ("api/{a?}/x", "/api/x"),
        ("api/a.b", "/api/acb"),
        ("api", "/apix"),
        ("api", "//api"),
        ("api", "/api//"),
        ("api/{*rest}", "/api//x"),
        ("", "/x"),
        ("files/{name}.txt", "/files/.txt"),
        ("files/{name}.txt", "/files/a.txt.b"),
        ("files/{name}.{ext?}", "/files/a."),
        ("v{major}", "/v"),
        ("v{major}", "/xv1"),
        ("{a}-{b}", "/-1"),
        ("api/{*rest:int}", "/api"),
    ],
)
def test_a_path_that_does_not_fit_gives_none(template: str, path: str) -> None:
    assert compile_template(template).match(path) is None


@pytest.mark.parametrize(
    ("constraint", "fitting", "others"),
    [
        ("int", ["12", "-1", "+1", " 7 ", "2147483647", "-2147483648"], ["x", "1.5", "2147483648", "\u0661"]),
        ("long", ["9223372036854775807", "-9223372036854775808"], ["9223372036854775808", "9" * 500]),
        ("bool", ["true", "FALSE", " True "], ["1", "yes"]),
        ("alpha", ["abcXYZ"], ["a1", "ä", "a b"]),
        ("guid", ["CD2C1638-1638-72D5-1638-DEADBEEF1638", "{cd2c1638-1638-72d5-1638-deadbeef1638}", "0" * 32],
         ["cd2c1638", "{" + "0" * 32, "{cd2c1638-1638-72d5-1638-deadbeef1638)"]),
        ("decimal", ["1", "-1.5", "1,000.25", ".5", "5-"], ["1e3", "x", "-5-", "9" * 40]),
        ("double", ["1", "-1.5e10", ".5", "Infinity", "NaN"], ["x", "1,5e", "--1"]),
        ("float", ["1.5", "1E-3"], ["one"]),
        ("datetime", ["2026-01-31", "2026-01-31T10:20:30Z", "1-31-2026", "31 Jan 2026", "1-31-2026 10:20"],
         ["2026-13-01", "tomorrow", "20260131"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab", "abc"], ["a"]),
        ("maxlength(2)", ["a", "ab"], ["abc"]),
        ("min(18)", ["18", "100"], ["17", "x"]),
        ("max(18)", ["18", "-100"], ["19", "x"]),
        ("range(1,3)", ["1", "3"], ["0", "4", "x"]),
        ("required", ["x"], []),
        ("file", ["a.txt"], ["a", "a."]),
        ("nonfile", ["a"], ["a.txt"]),
        (r"regex(^\d{{3}}$)", ["123"], ["12", "1234"]),
        ("regex(a:b=c)", ["A:B=C"], ["abc"]),
        ("regex(^(x|y)$)", ["x", "Y"], ["z"]),
        ("int:min(5)", ["5"], ["4", "x"]),
        ("INT", ["1"], ["x"]),
    ],
)  # fmt: skip
def test_a_constraint_lets_in_what_it_says(constraint: str, fitting: list[str], others: list[str]) -> None:
    template = compile_template(f"api/{{value:{constraint}}}")
    assert [value for value in fitting if template.match(f"/api/{value}") != {"value": value}] == []
    assert [value for value in others if template.match(f"/api/{value}") is not None] == []


def test_a_constraint_lets_an_absent_optional_through_and_holds_for_a_default() -> None:
    assert compile_template("api/{id:int?}").match("/api") == {}
    assert compile_template("api/{id:int?}").match("/api/x") is None
    assert compile_template("api/{id:int=7}").match("/api") == {"id": "7"}
    assert compile_template("api/{id:int=x}").match("/api") is None


@pytest.mark.parametrize(
    "template",
    [
        "api/{a",
        "api/a}",
        "api/}a{",
        "api/{}",
        "{a}/{A}",
        "a//b",
        "~a",
        "a?",
        "{a?b}",
        "{*a}/b",
        "{*a?}",
        "x{*a}",
        "{a?=1}x",
        "{a=1?}",
        "{a}{b}",
        "{a?}.x",
        "{a}-{b?}",
        "{a:nonsense}",
        "{a:int(1)}",
        "{a:length}",
        "{a:length(x)}",
        "{a:length(3,2)}",
        "{a:range(1)}",
        "{a:range(3,1)}",
        "{a:regex([)}",
        "{a:regex(^x{3}$)}",
    ],
)
def test_a_template_that_means_nothing_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="is not valid:"):
        compile_template(template)


def test_a_template_without_parameters_has_one_path() -> None:
    assert compile_template("Api/Hello").literal == "api/hello"
    assert compile_template("api/{a}").literal is None
    assert compile_template("api/a{b}").literal is None

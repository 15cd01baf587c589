"""Quotation marks in lists of methods and names."""

from __future__ import annotations

import pytest

from bench.api import ConfigError, Json
from bench.plugins.choices import make_choice, parse_methods, parse_names, quoted

CHOICES: list[tuple[str, list[tuple[str, dict[str, object]]]]] = [
    ("'./a, b.py:C'", [("./a, b.py:C", {})]),
    ('"./[a]|b.py:C"[x=1],rti', [("./[a]|b.py:C", {"x": 1}), ("rti", {})]),
    ("./it's.py:C,./o's.py:D", [("./it's.py:C", {}), ("./o's.py:D", {})]),
    ("m[w='a, b]',x=2],n", [("m", {"w": "a, b]", "x": 2}), ("n", {})]),
    ('m[w="a|b"|c]', [("m", {"w": "a|b"}), ("m", {"w": "c"})]),
    ("m[w='0.5'|0.5]", [("m", {"w": "0.5"}), ("m", {"w": 0.5})]),
    ("m[w='true']", [("m", {"w": "true"})]),
    ("m[w='']", [("m", {"w": ""})]),
    ("m[w='it\"s, so']", [("m", {"w": 'it"s, so'})]),
    ("outputs:their dir/[title=A B]", [("outputs:their dir", {"title": "A B"})]),
    ("'outputs:a, [b]'[title='2024']", [("outputs:a, [b]", {"title": "2024"})]),
    ("'outputs:a ',outputs:it's=|here", [("outputs:a ", {}), ("outputs:it's=|here", {})]),
    ("outputs:cafe\u0301", [("outputs:caf\u00e9", {})]),
    ("outputs:x[title=A|B]", [("outputs:x", {"title": "A"}), ("outputs:x", {"title": "B"})]),
]


@pytest.mark.parametrize(("text", "expected"), CHOICES)
def test_quoted_names_and_values_are_read_and_labels_read_back(
    text: str, expected: list[tuple[str, dict[str, object]]]
) -> None:
    found = parse_methods(text)
    assert [(choice.name, dict(choice.overrides)) for choice in found] == expected
    assert parse_methods(",".join(choice.label for choice in found)) == found


VALUES: list[Json] = [
    *(None, True, False, 0, -3, 10**30, 1e-7, 1e22, 0.1, -0.5, 1e5),
    *("none", "null", "True", "NONE", "1e5", "nan", "inf", "1_000", "0x10", "", " a", "a ", "a,b"),
    *("[x]", "]x[", "a|b", "a=b", "it's", 'say "hi"', "'quoted'", '"x" y', "a\nb", "\\"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_label_says_any_value_so_that_it_is_read_back(value: Json) -> None:
    choice = make_choice("m", {"w": value})
    (again,) = parse_methods(choice.label)
    assert again == choice
    assert type(again.overrides["w"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'./a, b.py:C", "has no partner"),
        ("\"a'", "has no partner"),
        ("./a[1].py:C", "path with brackets or commas is quoted"),
        ("m[x=1,x=2]", "sets 'x' twice"),
        ("m[x=]", "is not a setting"),
        ("m[x=|1]", r"'x=\|1' leaves a value between its bars empty.*Write x=1\."),
        ("m[x=1||2]", r"Write x=1\|2\."),
        ("m[x=1|]", r"Write x=1\."),
        ("m[x=|]", r"Write x=0\.5\|0\.7\."),
    ],
)
def test_what_does_not_pair_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_methods(text)


def test_names_are_split_outside_quotation_marks() -> None:
    names = ["cp", "./my, own.py:Score", "it's", 'a "b", c']
    assert parse_names(", ".join(map(quoted, names))) == names
    assert parse_names(" , ") == []

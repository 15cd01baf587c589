"""Text, TOML and JSON from outside: limits on size, depth and numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import DatasetError
from bench.outside.declarations import read_toml
from bench.outside.texts import (
    LARGEST_INTEGER,
    MOST_LEVELS,
    MOST_TOML_BYTES,
    parse_json,
    parse_toml,
    read_text,
)

DEEP = {
    "lists": ("[" * 100_000 + "]" * 100_000, "nested"),
    "objects": ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested"),
    "just too deep": ("[" * (MOST_LEVELS + 2) + "]" * (MOST_LEVELS + 2), "nested"),
    "many digits": ("9" * 5000, "digits"),
    "2^63": (str(LARGEST_INTEGER + 1), "beyond 9223372036854775807"),
    "1e999": ("[0, -1e999]", "1 is -inf; numbers are finite"),
    "NaN": ('{"a": {"b": NaN}}', r"a\.b is nan"),
}


@pytest.mark.parametrize("fault", DEEP)
def test_json_beyond_a_limit_is_refused(fault: str) -> None:
    text, message = DEEP[fault]
    with pytest.raises(ValueError, match=message):
        parse_json(text)


TOML = {
    "lists": ("a = " + "[" * 5000 + "]" * 5000, "nested"),
    "tables": ("a = " + "{a = " * 5000 + "1" + "}" * 5000, "nested"),
    "dotted": (".".join("a" * 40_000) + " = 1", "more than 32 parts"),
    "a dotted heading": ("[" + ".".join("a" * 5000) + "]", "more than 32 parts"),
    "many digits": ("a = " + "9" * 5000, "digits"),
    "a hexadecimal": ("a = 0x" + "f" * 17, "beyond"),
    "nan": ("[a]\nb = [1.0, nan]", r"a\.b\.1 is nan"),
    "inf": ("a = -inf", "a is -inf; numbers are finite"),
}


@pytest.mark.parametrize("fault", TOML)
def test_toml_beyond_a_limit_is_refused(fault: str) -> None:
    text, message = TOML[fault]
    with pytest.raises(ValueError, match=message):
        parse_toml(text)


def test_what_is_just_within_the_limits_is_read() -> None:
    deep = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert parse_json(f"[{deep[1:-1]}]") == parse_json(deep)
    assert parse_toml(f"# {'.' * 200}\na = {LARGEST_INTEGER}") == {"a": LARGEST_INTEGER}
    assert parse_json(str(-LARGEST_INTEGER)) == -LARGEST_INTEGER


def test_a_file_that_is_too_large_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * (MOST_TOML_BYTES + 1))
    with pytest.raises(DatasetError, match=rf"a\.toml .*larger than {MOST_TOML_BYTES} bytes"):
        read_toml(path, DatasetError)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_with_a_mark_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("cafe\u0301", encoding=encoding)
    assert read_text(path) == "caf\u00e9"


def test_a_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match="byte 3 is not utf-8"):
        read_text(path)

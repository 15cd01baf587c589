"""Ways to damage a valid file at random: its bytes, the values in its text, one value of its JSON.

All chance comes from the generator that is given, so that a seed gives the same damage again.
"""

from __future__ import annotations

import json
import random

LONG_NUMBER, DEEP = "9" * 5000, 3000
WORDS = (
    *("inf", "nan", "-inf", "1e999", LONG_NUMBER, "-1", "0", "true", "null", '""', "{}", "[]"),
    *("[" * DEEP, '{"a":' * DEEP, "a." * DEEP + "a = 1\n", "../../../etc", "/dev/zero", "\\u0000"),
    *("\\ud800", "\u200b", "e\u0301", "\x00", "'''", '"', "=", "\n[a.b]\n", "|", "1_0"),
    "0x" + "f" * 99,
)
VALUES = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "\0", "../../x", "/etc/x",
    "audio/../x", "x" * 5000, "a\nb\x1b[31m", "\u202e\U0001f3b8", [], [[[[]]]],
    {}, {"a": {"b": []}},
)  # fmt: skip
TEXT_BYTES = (b"\0", b"\xff", b"\n", b"{", b"}", b"[", b'"', b",", b"-", b"1e9", b"NaN", b"\\ud800")
NUMBER_BYTES = (
    *(b"\xff" * 4, b"\0" * 4, b"\x01\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"),
    *(b"\xff\xfb\x90\xc4", b"OggS"),  # where another frame or page would begin
)


def damaged(data: bytes, chance: random.Random, words: tuple[bytes, ...]) -> bytes:
    """One to six faults: a bit, a cut, a part twice, a part gone, noise, or one of some words."""
    for _ in range(chance.randint(1, 6)):
        # Headers decide more than what follows, so half of the faults lie there.
        reach = len(data) if chance.random() < 0.5 else min(len(data), 128)
        place = chance.randrange(reach + 1)
        end = min(len(data), place + chance.choice((1, 2, 4, 8, 64, 4000)))
        fault = chance.randrange(6)
        if fault == 0 and place < len(data):
            flipped = data[place] ^ 1 << chance.randrange(8)
            data = data[:place] + bytes([flipped]) + data[place + 1 :]
        elif fault == 1 and chance.random() < 0.3:
            data = data[:place]
        elif fault == 2:
            data = data[:end] + data[place:]
        elif fault == 3:
            data = data[:place] + data[end:]
        elif fault == 4:
            data = data[:place] + chance.randbytes(end - place) + data[end:]
        else:
            word = chance.choice(words)
            over = place + len(word) if chance.random() < 0.5 else place
            data = data[:place] + word + data[over:]
    return data


def damaged_text(text: str, chance: random.Random) -> bytes:
    """As `damaged`; half of the time whole values are replaced, so that it can still be parsed."""
    if chance.random() < 0.5:
        words = tuple(word.encode("utf-8", "surrogatepass") for word in WORDS)
        return damaged(text.encode(), chance, words)
    marks = [place for place, letter in enumerate(text) if letter in "=:,"]
    begin = chance.choice(marks) + 1
    stops = [text.find(stop, begin) for stop in ",}\n" if stop in text[begin:]]
    end = min(stops, default=len(text))
    word = chance.choice(WORDS)
    return (text[:begin] + word + text[end:]).encode("utf-8", "surrogatepass")


def damaged_lines(data: bytes, chance: random.Random) -> bytes:
    """JSON, a value on each line: something strange in one line, or damage anywhere."""
    if chance.random() < 0.3:
        return damaged(data, chance, TEXT_BYTES)
    lines = data.splitlines()
    place = chance.randrange(len(lines))
    lines[place] = json.dumps(strange_within(json.loads(lines[place]), chance)).encode()
    return b"\n".join(lines) + b"\n"


def strange_within(value: object, chance: random.Random) -> object:
    """Put something strange into the place of one value anywhere in it."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return value | {key: strange_within(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], strange_within(value[place], chance), *value[place + 1 :]]
    return chance.choice(VALUES)

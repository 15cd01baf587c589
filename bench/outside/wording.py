r"""Texts that somebody else wrote, made fit to be recorded and printed.

What a plug-in raises or says, the name of a file, and the words of a record that came from
elsewhere may be megabytes long, and may hold what moves a terminal's cursor, ends a file in the
middle or cannot be encoded at all. All of it goes through `one_line` or `visible` before it is
recorded or printed.

**Conventions**: a character that cannot be seen is written as Python writes it, such as ``\x1b``;
so are halves of surrogate pairs, and the characters that turn the direction of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LONGEST = 300  # characters of the reason of a cell
LONGEST_MESSAGE = 2000  # characters of what ends a command: it may list what one can choose from
CUT = "…"  # the end of what was longer
NAMED = 3  # of several things in a sentence, before the others are only counted
# Joiners are unseen, but part of how Persian, Hindi and others are spelt.
_KEPT = "\n\u200c\u200d"


def visible(text: str) -> str:
    r"""A text in which each character can be seen, on one line unless it has several.

    Line feeds stay. All other characters that cannot be printed are escaped.

    Example:
        >>> print(visible("red: \x1b[31m\x00, half a pair: \udc80\nnext line"))
        red: \x1b[31m\x00, half a pair: \udc80
        next line
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in _KEPT else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


def rule_of(message: str) -> str:
    """What the library that checks types says of a value, as the rule of a sentence of ours.

    Example:
        >>> rule_of("Input should be a valid integer"), rule_of("Value error, steps are counted")
        ('it must be a valid integer', 'steps are counted')
    """
    words = message.removeprefix("Value error, ")
    return words.replace("Input should be", "it must be").replace("Input should", "it must")


def one_line(value: object, longest: int = LONGEST, said: Callable[[Any], str] = str) -> str:
    r"""The words of a value on one line of bounded length, each character visible.

    Args:
        value: A text, or an error, which may fail to say what it is.
        longest: Characters of the result; what is longer ends with an ellipsis.
        said: What asks the value for its words: `str`, or `repr`.

    Example:
        >>> one_line("two\n  lines"), one_line("0123456789", longest=5), one_line("2", said=repr)
        ('two lines', '0123…', "'2'")
    """
    text = _said(value, said).strip()
    seen = visible(" ".join(text[: 4 * longest].split()))
    if len(seen) <= longest and len(text) <= 4 * longest:
        return seen
    return seen[: longest - len(CUT)].rstrip() + CUT


def some(words: Iterable[str], between: str = "; ") -> str:
    """The first few of several things, and how many more there are.

    Example:
        >>> some(["a", "b"]), some("abcde", ", ")
        ('a; b', 'a, b, c, and 2 more')
    """
    all_words = list(words)
    more = len(all_words) - NAMED
    shown = [*all_words[:NAMED], *([f"and {more} more"] if more > 0 else [])]
    return between.join(shown)


def _said(value: object, said: Callable[[Any], str]) -> str:
    try:
        return str.__str__(said(value))  # a plain text, and none of a plug-in's own kind
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - an error of a plug-in may fail even to say what it is
        return "no words: they cannot be read"

"""Who listened in a MUSHRA test: the post-screening of ITU-R BS.1534-3, and what it leaves open.

| flag | what is looked at | leaves out |
|---|---|---|
| reference | the hidden reference got less than 90 on more than 15 % of the pages | yes |
| alike | all stimuli of a page got one mark, on more than 15 % of the pages | yes |
| anchors | an anchor got more than the hidden reference, on a page at least | no |

The first is the rule of section 4.1.2 of the recommendation. The second is ours: the sliders of
webMUSHRA begin at 100, so whoever moves none gives every hidden reference its due. The
recommendation also leaves out who gives the middle anchor more than 90 too often; here it is not
done, since a low-pass keeps melody and rhythm and the question is about these.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from reports.listening.mushra.records import ANCHORS, REFERENCE, MushraKey, MushraMarks, MushraRule

HARD = frozenset({"reference", "alike"})
_ROUNDING = 1e-9  # 0.15 * 20 is no whole number in binary


@dataclass(frozen=True, slots=True)
class Screened:
    """What the marks of one listener show.

    Args:
        pages: How many pages were marked.
        below: On how many of them the hidden reference got too little.
        alike: On how many all got the same mark.
        above: On how many an anchor got more than the hidden reference.
        flags: What is wrong, in the order of the table above.
        left_out: Whether the rule leaves the listener out.
    """

    pages: int
    below: int
    alike: int
    above: int
    flags: tuple[str, ...]
    left_out: bool


def screen(given: MushraMarks, key: MushraKey) -> Screened:
    """Look at the marks of a listener, each stimulus of the test once, by the rule of the test."""
    pages: dict[str, dict[str, int]] = defaultdict(dict)
    for one in given.marks:
        pages[one.set][one.item] = one.mark
    rule, shown = key.rule, pages.values()
    below = sum(page[REFERENCE] < rule.reference for page in shown)
    alike = sum(len(set(page.values())) == 1 for page in shown)
    above = sum(max(page[name] for name in ANCHORS) > page[REFERENCE] for page in shown)
    most = most_pages(rule, len(pages))
    found = {"reference": below > most, "alike": alike > most, "anchors": above > 0}
    flags = tuple(name for name, is_so in found.items() if is_so)
    return Screened(len(pages), below, alike, above, flags, bool(HARD & set(flags)))


def most_pages(rule: MushraRule, pages: int) -> int:
    """On how many pages something may fail.

    Example:
        >>> most_pages(MushraRule(), 6), most_pages(MushraRule(), 20)
        (0, 3)
    """
    return int(rule.share * pages + _ROUNDING)


def words(rule: MushraRule, pages: int) -> str:
    """The rule in words, for a test of so many pages."""
    most = most_pages(rule, pages)
    too_often = f"more than {most}" if most else "any"
    reference = (
        f"* reference: the hidden reference gets less than {rule.reference} on more than "
        f"{rule.share:.0%} of the pages; of these {pages}, on {too_often}."
    )
    return "\n".join([
        "A listener is left out for one of these (ITU-R BS.1534-3, section 4.1.2, and one more):",
        reference,
        "* alike: all stimuli of a page get one mark, on as many pages; sliders begin at 100.",
        "Shown, and no reason to leave anybody out:",
        "* anchors: an anchor gets more than the hidden reference on a page.",
    ])  # fmt: skip

"""Write the tables of docs/reference/judges.md from the judge cards: `make judges`.

What stands above the mark in that page is written by hand and stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "reference" / "judges.md"
MARK = "<!-- made by docs/making/judges.py from metrics/judge_cards.json -->\n"


def page() -> str:
    """The page with tables of the cards that are there."""
    from bench.records.judge_cards import read_judge_cards
    from reports.tables.judges import hearing_table, response_table
    from reports.text.formats import markdown

    cards = read_judge_cards()
    above, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    tables = [markdown(table).strip() for table in (hearing_table(cards), response_table(cards))]
    return above + mark + "\n" + "\n\n".join(tables) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))
    PAGE.write_text(page(), encoding="utf-8")

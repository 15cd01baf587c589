"""Take README's picture from a run: its Table II and its scatter, as its page shows them.

Usage: python docs/making/picture.py runs/mini -o docs/pictures/mini.png

Needs Chromium (the system's, or what `playwright install chromium` brings) and the extra `dev`.
The rows on common cells are left out; everything else is the page as `report` writes it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH_PX, HEIGHT_PX = 1180, 1000
# A wide page, the scatter under its table; rows, notes and links that need the page are left out.
LAYOUT = """
body { background: #fff !important; margin: 0 !important; }
.picture { display: flex; flex-direction: column; align-items: center; gap: 4px; width: 1140px; padding: 8px; }
.picture details, .picture figcaption, .picture tr.common, .picture tr[hidden] { display: none; }
.picture section, .picture figure { margin: 0; max-width: none; }
.picture figure svg { width: 520px; height: auto; }
"""
GATHER = """
() => {
  const picture = document.createElement("div");
  picture.className = "picture";
  picture.append(document.getElementById("table2"), document.getElementById("cp-sf-heldout"));
  document.body.replaceChildren(picture);
}
"""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="A PNG file.")
def main(run: Path, out: Path) -> None:
    """Write the picture of a run that has been reported."""
    from playwright.sync_api import sync_playwright

    index = run / "report" / "page" / "index.html"
    if not index.is_file():
        raise click.UsageError(f"{index} does not exist. Write it: python -m bench report {run}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme="light"
        )
        page.goto(index.resolve().as_uri())
        take(page, out)
        browser.close()


def take(page: Page, out: Path) -> None:
    """Gather table and scatter on the opened page, and write what is seen of them."""
    page.add_style_tag(content=LAYOUT)
    page.evaluate(GATHER)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.locator(".picture").screenshot(path=out, animations="disabled")


if __name__ == "__main__":
    main()

"""Take README's picture from a run: its Table II and its scatter, as its page shows them.

Usage: python docs/making/picture.py runs/mini -o docs/pictures/mini.png

Needs Chromium (the system's, or what `playwright install chromium` brings) and the extra `dev`.
The rows on common cells are left out; everything else is the page as `report` writes it. What the
table says is also written into the file as text, so that a test can hold it against what the pages
print of the same run.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH_PX, HEIGHT_PX = 1440, 1000
# A wide page, the scatter under its table; rows, notes and links that need the page are left out.
LAYOUT = """
body { background: #fff !important; margin: 0 !important; }
.picture { display: flex; flex-direction: column; align-items: center; }
.picture { width: 1400px; padding: 8px; }
.picture h3, .picture .identity { align-self: start; }
.picture figcaption, .picture tr.common, .picture tr.card { display: none; }
.picture .scroll { max-height: none; }
.picture thead th { min-width: 0; }
.picture figure { margin: 12px 0 0; width: 720px; }
.picture figure .slim { display: none; }
"""
GATHER = """
() => {
  const picture = document.createElement("div");
  picture.className = "picture";
  const table = document.getElementById("table2");
  const parts = ["h3", ".identity", ".scroll"].map((part) => table.querySelector(part));
  picture.append(...parts, document.getElementById("cp-sf-heldout"));
  document.body.replaceChildren(picture);
}
"""
# One line per method that is shown: its label and its cells, with tabs between them.
ROWS = """
() => [...document.querySelectorAll(".picture tbody tr")]
  .filter((row) => row.offsetHeight)
  .map((row) => [...row.children].map((cell) => cell.textContent.trim()).join("\\t"))
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
    words = PngInfo()
    words.add_text("identity", page.locator(".picture .identity").inner_text())
    words.add_text("table", "\n".join(page.evaluate(ROWS)))
    shot = page.locator(".picture").screenshot(animations="disabled")
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out, optimize=True, pnginfo=words)


if __name__ == "__main__":
    main()

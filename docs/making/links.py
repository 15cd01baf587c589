"""Find dead links in a built site: pages, files and anchors that a relative link leads to.

Usage: python docs/making/links.py build/docs

MkDocs checks links that stand in Markdown; this reads the finished pages, so that links made by
references, themes and raw HTML count too. Addresses of other sites are not asked.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
ELSEWHERE = "404.html"  # its links are seen from the root of a server


@dataclass
class Found(HTMLParser):
    """What a page links to, and the anchors that it has."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin as the parser does."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element's address and its anchors."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        address = values.get(ADDRESSES.get(tag, ""))
        if address is not None:
            self.links.append(address)


def read(page: Path) -> Found:
    """Parse one page."""
    found = Found()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def dead_links(site: Path) -> list[str]:
    """One line per link that leads nowhere, in the order of the pages."""
    pages = {page.resolve(): read(page) for page in sorted(site.rglob("*.html"))}
    return [
        f"{page.relative_to(site.resolve())}: {link}"
        for page, found in pages.items()
        if page.name != ELSEWHERE
        for link in found.links
        if not leads_somewhere(link, page, pages)
    ]


def leads_somewhere(link: str, page: Path, pages: dict[Path, Found]) -> bool:
    """Whether a link of a page has its file and its anchor; those to other sites have."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target not in pages or anchor in pages[target].anchors


def main() -> None:
    """Check a site; the exit code is 1 where a link is dead."""
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        sys.exit(f"{site} holds no index.html; build the site first: make docs")
    dead = dead_links(site)
    sys.stdout.writelines(f"{line}\n" for line in dead)
    sys.stdout.write(f"{len(list(site.rglob('*.html')))} pages, {len(dead)} dead links\n")
    sys.exit(bool(dead))


if __name__ == "__main__":
    main()

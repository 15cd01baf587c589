"""Hooks of MkDocs: what the site has that no page of `docs/` holds.

The pages at the top of the checkout become pages of the site; their links are written for a reader
of the checkout and are turned to where the pages lie on the site. The commands describe themselves.
The version in the footer is that of the installed package.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "LICENSE": "licence.md",
    "CITATION.cff": "CITATION.cff",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the version that the pages are about."""
    config.copyright = f"Version {version('music-style-bench')}. Code MIT, bundled clips CC0."
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the checkout's top level."""
    from mkdocs.structure.files import File

    for name, place in PAGES.items():
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        if name == "LICENSE":  # plain text, with its line breaks
            text = f"# Licence\n\n```text\n{text}\n```\n"
        files.append(File.generated(config, place, content=turned(text)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the reference of commands into its place."""
    sys.path.insert(0, str(CHECKOUT))  # a hook is loaded as a file, which knows no packages
    from bench.cli.main import cli
    from docs.making import commands

    if commands.PLACE not in markdown:
        return markdown
    return markdown.replace(commands.PLACE, commands.reference(cli, "python -m bench"))


def turned(text: str) -> str:
    """The text with links from the checkout's top level turned to the site.

    Example:
        >>> turned("[a](docs/faq.md#b), [c](LICENSE), [d](https://e.org), [f](#g)")
        '[a](faq.md#b), [c](licence.md), [d](https://e.org), [f](#g)'
    """
    return LINK.sub(lambda found: PAGES.get(found[1], found[1].removeprefix("docs/")), text)

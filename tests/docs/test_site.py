"""What the site adds to the pages: links turned, commands described, dead links found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench.cli.main import cli
from docs.making import commands, links, top_level

PAGE = '<html><body><h1 id="top">A</h1>{}</body></html>'


def site(folder: Path, *bodies: str) -> Path:
    for name, body in zip(("index.html", "part/other.html"), bodies, strict=False):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PAGE.format(body), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "link",
    [
        "#top",
        "part/other.html",
        "part/other.html#top",
        "https://example.org/none",
        "part/../index.html",
    ],
)
def test_a_link_that_leads_somewhere_is_not_dead(tmp_path: Path, link: str) -> None:
    assert links.dead_links(site(tmp_path, f'<a href="{link}">x</a>', "")) == []


@pytest.mark.parametrize(
    "element",
    [
        '<a href="#bottom">x</a>',
        '<a href="part/none.html">x</a>',
        '<a href="part/other.html#bottom">x</a>',
        '<a href="part/other.html#bottom">x</a><a href="/x<y">',
        '<img src="none.png">',
        '<a href="part">a folder without a page</a>',
    ],
)
def test_a_dead_link_is_named_with_its_page(tmp_path: Path, element: str) -> None:
    dead = links.dead_links(site(tmp_path, element, ""))
    assert dead
    assert all(line.startswith("index.html: ") for line in dead)


def test_a_dead_link_fails_the_check(tmp_path: Path, checkout: Path) -> None:
    for body, code in (("", 0), ('<a href="gone.html">x</a>', 1)):
        words = [sys.executable, "docs/making/links.py", str(site(tmp_path, body))]
        done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == code
    assert "index.html: gone.html\n1 pages, 1 dead links\n" in done.stdout


def test_the_reference_has_every_command_and_every_option() -> None:
    text = commands.reference(cli, "python -m bench")
    for name, command in cli.commands.items():
        assert f"#### python -m bench {name}\n" in text
        below = command.commands if isinstance(command, click.Group) else {"": command}
        for one in below.values():
            named = [option for option in one.params if isinstance(option, click.Option)]
            shown = [option for option in named if "--help" not in option.opts]
            assert [o.opts[-1] for o in shown if f"{o.opts[-1]}" not in text] == []


def test_what_html_and_markdown_would_swallow_stands_in_the_reference() -> None:
    @click.command(help="A | B")
    @click.option("--limit", type=click.IntRange(0, 9, min_open=True), help="in [a](b) or *c* | d")
    def small(limit: int) -> None: ...

    text = commands.reference(small, "small")
    (row,) = [line for line in text.splitlines() if line.startswith("| <code>")]
    assert row.count("|") == 3
    assert "0&lt;x&lt;=9" in row
    assert "&#91;a&#93;(b) or &#42;c&#42;" in row


@pytest.mark.parametrize(
    ("written", "turned"),
    [
        ("[a](docs/faq.md#top)", "[a](faq.md#top)"),
        ("![p](docs/pictures/mini.png)", "![p](pictures/mini.png)"),
        ("[c](CONTRIBUTING.md), [l](LICENSE)", "[c](contributing.md), [l](licence.md)"),
        ("[e](https://example.org/docs/LICENSE)", "[e](https://example.org/docs/LICENSE)"),
        ("[h](#docs/x)", "[h](#docs/x)"),
    ],
)
def test_links_of_the_top_level_are_turned_to_the_site(written: str, turned: str) -> None:
    assert top_level.turned(written) == turned

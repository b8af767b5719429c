"""The pages that people read, as the parts that can be checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "roles/*/README.md", "examples/*/README.md")
NOT_COMMANDS = ("CHANGELOG.md", "docs/guide.ko.md")  # what was true once, and what was done by hand


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Page(NamedTuple):
    """What a page has, in its order; headings are (level, text)."""

    headings: list[tuple[str, str]]
    links: list[str]
    blocks: list[Block]
    codes: list[str]
    rows: int

    def anchors(self) -> set[str]:
        """Return the anchors that GitHub gives the headings."""
        seen: dict[str, int] = {}
        found = set()
        for _, text in self.headings:
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
            seen[slug] = seen.get(slug, 0) + 1
        return found


def names() -> list[str]:
    """Return the paths of all pages, below the repository."""
    return sorted({str(path.relative_to(REPOSITORY)) for each in PATTERNS for path in REPOSITORY.glob(each)})


def _walk(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _walk(token.children or [])


@cache
def read(name: str) -> Page:
    """Read one page."""
    tokens = MarkdownIt("commonmark").enable("table").parse((REPOSITORY / name).read_text(encoding="utf-8"))
    every = list(_walk(tokens))
    texts = [
        (before.tag, "".join(child.content for child in token.children or []))
        for before, token in pairwise(tokens)
        if before.type == "heading_open"
    ]
    hrefs = [
        str(token.attrs.get("href") or token.attrs.get("src"))
        for token in every
        if token.type in ("link_open", "image")
    ]
    blocks = [Block(token.info.strip(), token.content) for token in every if token.type == "fence"]
    codes = [token.content for token in every if token.type == "code_inline"]
    return Page(texts, hrefs, blocks, codes, sum(token.type == "tr_open" for token in every))


def load(path: Path) -> dict[str, dict[str, object]]:
    """Return the entry points of a role's argument specs."""
    specs: dict[str, dict[str, object]] = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
    return specs


@cache
def variables() -> frozenset[str]:
    """Return the names of all options in the argument specs, those inside of others included."""

    def inside(options: object) -> Iterator[str]:
        for name, option in options.items() if isinstance(options, dict) else ():
            yield name
            yield from inside(option.get("options"))

    specs = [load(path) for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml")]
    return frozenset(
        name for each in specs for entry in each.values() for name in inside(entry.get("options"))
    )

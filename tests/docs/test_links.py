"""Every link of every page leads somewhere, anchors included, and every page can be reached from the README."""

from __future__ import annotations

import re
import subprocess
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import REPOSITORY, names, read

SOURCES = ("python_checks", "ansible", "roles", "bin", "locks")


def target(name: str, link: str) -> tuple[str, str]:
    """Return the path below the repository that a link of a page leads to, and its anchor."""
    parts = urlsplit(link)
    path = (REPOSITORY / name).parent / unquote(parts.path) if parts.path else REPOSITORY / name
    return str(PurePosixPath(path.resolve().relative_to(REPOSITORY))), unquote(parts.fragment)


def is_away(link: str) -> bool:
    """Tell whether a link leads out of the repository."""
    return urlsplit(link).scheme in ("http", "https")


@pytest.mark.parametrize("name", names())
def test_no_link_is_dead(name: str) -> None:
    for link in read(name).links:
        if is_away(link):
            assert urlsplit(link).hostname, link
            continue
        path, anchor = target(name, link)
        assert (REPOSITORY / path).exists(), f"{name}: {link}: there is no {path}"
        if anchor:
            assert anchor in read(path).anchors(), f"{name}: {link}: no such heading in {path}"


@pytest.mark.parametrize("start", ["README.md", "README.ko.md"])
def test_every_page_is_reached_from_the_readme(start: str) -> None:
    reached, new = set(), {start}
    while new:
        reached |= new
        links = {(name, link) for name in new for link in read(name).links if not is_away(link)}
        new = {path for path, _ in (target(*each) for each in links) if path.endswith(".md")} - reached
    assert set(names()) - reached == set()


def test_pages_that_programs_name_exist() -> None:
    grep = ["git", "grep", "-hoE", r"docs/[a-z0-9_.-]+\.md(#[a-z0-9-]+)?", "--", *SOURCES]
    found = subprocess.run(
        grep, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    assert "docs/conformance.md" in found
    for link in set(found):
        path, _, anchor = link.partition("#")
        assert (REPOSITORY / path).exists(), link
        assert not anchor or anchor in read(path).anchors(), link


def test_no_program_names_a_section_of_the_readme() -> None:
    grep = ["git", "grep", "-nE", r"README\.md, [A-Z]", "--", *SOURCES]
    assert (
        subprocess.run(grep, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False).stdout
        == ""
    )


def test_anchors_are_those_of_github() -> None:
    guide = read("docs/guide.ko.md")
    assert {"1-ml35-서버-접속", "6-트러블슈팅", "34-tmuxscreen-사용-대안"} <= guide.anchors()
    assert [link for link in guide.links if re.match("#[1-6]-", link)], (
        "the guide's own contents, written by GitHub's rule"
    )

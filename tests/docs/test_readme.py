"""The README for a stranger: short, an inventory that Ansible takes, and the same document in Korean; the version is told once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

import python_checks
from python_checks.log import known
from tests.docs.pages import REPOSITORY, load, names, read

ENGLISH, KOREAN = read("README.md"), read("README.ko.md")
LINES = 130
# How a translation sounds, not how a technical writer says it.
STILTED = re.compile(
    r"\bof ours\b|\bmade up for by\b|\bwhat is none\b|\bthat nobody asked\b|\bwhat is no\b", re.IGNORECASE
)


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_it_is_short(name: str) -> None:
    assert len((REPOSITORY / name).read_text(encoding="utf-8").splitlines()) <= LINES


def test_the_korean_one_is_the_same_document() -> None:
    def without_comments(text: str) -> str:
        return re.sub(r" +#.*", "", text)

    assert [level for level, _ in KOREAN.headings] == [level for level, _ in ENGLISH.headings]
    assert [(each.language, without_comments(each.text)) for each in KOREAN.blocks] == [
        (each.language, without_comments(each.text)) for each in ENGLISH.blocks
    ]
    assert KOREAN.rows == ENGLISH.rows
    pages = [[link.replace(".ko.md", ".md") for link in page.links] for page in (KOREAN, ENGLISH)]
    assert sorted(pages[0]) == sorted(pages[1])


def test_the_inventory_of_eight_lines_is_one(tmp_path: Path) -> None:
    (text,) = (block.text for block in ENGLISH.blocks if block.language == "yaml")
    assert len(text.splitlines()) == 8
    (tmp_path / "hosts.yml").write_text(text, encoding="utf-8")
    inventory = InventoryManager(DataLoader(), sources=[str(tmp_path / "hosts.yml")])
    groups = inventory.get_groups_dict()
    assert groups["vllm"] == groups["backend"] == ["gpu1"]
    given = inventory.groups["all"].get_vars()
    for role in ("host", "vllm", "backend"):
        options = load(REPOSITORY / f"roles/{role}/meta/argument_specs.yml")["main"]["options"]
        assert isinstance(options, dict)
        assert {name for name, option in options.items() if option.get("required")} <= set(given), role


def test_the_version_is_that_of_the_changelog() -> None:
    newest = next(
        text for level, text in read("CHANGELOG.md").headings if level == "h2" and text != "Unreleased"
    )
    assert newest.split()[0] == python_checks.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", python_checks.__version__)


def test_the_doctor_knows_the_error_texts_of_the_table() -> None:
    text = (
        (REPOSITORY / "docs/troubleshooting.md")
        .read_text(encoding="utf-8")
        .partition("\n## By error text\n")[2]
    )
    found = re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)
    assert len(found) > 20
    unknown = [
        each for each in found if not (known.strong(each) or known.weak(each) or known.over_memory(each))
    ]
    assert unknown == []


@pytest.mark.parametrize("name", [name for name in names() if ".ko." not in name])
def test_it_reads_like_english(name: str) -> None:
    assert STILTED.findall((REPOSITORY / name).read_text(encoding="utf-8")) == []

"""docs/variables.py: Korean that is missing or of another text is noticed, and a page says what the specs say."""

from __future__ import annotations

import importlib.util
from copy import deepcopy
from typing import Any

import pytest

from tests.docs.pages import REPOSITORY, read, variables

spec = importlib.util.spec_from_file_location("variables_pages", REPOSITORY / "docs/variables.py")
assert spec and spec.loader
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


@pytest.fixture
def korean() -> dict[str, Any]:
    """The translations, to be changed by a test."""
    return deepcopy(pages.load(REPOSITORY / "docs/variables.ko.yml"))


def test_korean_is_whole(korean: dict[str, Any]) -> None:
    assert [*pages.untranslated(korean)] == []
    assert len(korean) > 40
    hangul = {name for name, each in korean.items() if any("가" <= letter <= "힣" for letter in each["ko"])}
    assert hangul == set(korean)


@pytest.mark.parametrize("change", ["another text", "no Korean", "no entry", "no variable"])
def test_a_fault_is_named(korean: dict[str, Any], change: str) -> None:
    name = "vllm_model"
    if change == "another text":
        korean[name]["en"] += " Or not."
    elif change == "no Korean":
        korean[name]["ko"] = ""
    elif change == "no entry":
        del korean[name]
    else:
        name = "vllm_gone"
        korean[name] = {"en": "x", "ko": "없음"}
    (fault,) = pages.untranslated(korean)
    assert name in fault


def test_both_pages_and_the_readmes_have_all_variables() -> None:
    for name in ("docs/variables.md", "docs/variables.ko.md"):
        codes = {code.rpartition(".")[2] for code in read(name).codes}
        for role in ("host", "vllm", "backend"):
            assert {*pages.of_inventory(role)} <= codes, name
    shown = {
        code.rpartition(".")[2]
        for path in REPOSITORY.glob("roles/*/README.md")
        for code in read(str(path.relative_to(REPOSITORY))).codes
    }
    assert variables() - {"name"} <= shown


def test_a_row_says_type_choices_default_and_what_lies_inside() -> None:
    options = {
        "x_a": {"type": "str", "choices": ["one", "two"], "description": "C(one) or\n  two | both."},
        "x_b": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "description": "B.",
            "options": {"c": {"description": "C."}},
        },
    }
    assert [*pages.rows(options, {"x_a": "one"}, {})] == [
        ["`x_a`", "str: `one` · `two`", "`one`", "`one` or two | both."],
        ["`x_b`", "list of dict", "required", "B."],
        ["`x_b[].c`", "str", "", "C."],
    ]
    assert "two \\| both." in pages.table(("a", "b", "c", "d"), [*pages.rows(options, {}, {})])

"""What roles say to each other: public names with a line in an argument spec, no file of another role, no circle."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playbooks import REPOSITORY

ROLES = sorted(path.name for path in (REPOSITORY / "roles").iterdir() if path.is_dir())
NAME = rf"(?<![\w.'/-])(?:{'|'.join(ROLES)})_[a-z]\w*\b(?!['\"]?/|[.]\w+[.]j2)"
TEMPLATES = {
    "service": ("systemd", "supervisor"),
    "gateway": ("gateway",),
}  # folders of templates, by the role whose they are
FOLDERS = "defaults|files|handlers|library|meta|tasks|templates|vars"


def written() -> Iterator[tuple[str, Path]]:
    """Yield what people wrote for Ansible, each with the role that it belongs to; a playbook belongs to none."""
    for role in ROLES:
        places = [REPOSITORY / "roles" / role]
        places += [REPOSITORY / "templates" / each for each in TEMPLATES.get(role, ())]
        for path in (each for place in places for each in sorted(place.rglob("*"))):
            if path.suffix in (".yml", ".j2"):
                yield role, path
    for pattern in ("ansible/*.yml", "ansible/templates/*", "ansible/vars/*", "inventory/**/*.yml"):
        yield from (("", path) for path in sorted(REPOSITORY.glob(pattern)))


def private(role: str, text: str) -> list[str]:
    """Return the private names of other roles than ``role`` in a text."""
    found = re.findall(rf"(?<!\w)__((?:{'|'.join(ROLES)})_\w+)", text)
    return [f"__{name}" for name in found if name.split("_")[0] != role]


def opened(role: str, text: str) -> list[str]:
    """Return the folders of other roles than ``role`` that a text names."""
    found = re.findall(rf"/({'|'.join(ROLES)})/({FOLDERS})\b", text)
    return [f"{other}/{folder}" for other, folder in found if other != role]


def test_each_folder_of_templates_is_a_role_s() -> None:
    folders = {path.name for path in (REPOSITORY / "templates").iterdir()}
    assert folders == {each for names in TEMPLATES.values() for each in names}


def specs(role: str) -> dict[str, Any]:
    """Return the entry points of a role."""
    text = (REPOSITORY / f"roles/{role}/meta/argument_specs.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]
    return found


KNOWN = {name for role in ROLES for entry in specs(role).values() for name in entry["options"]}


@pytest.mark.parametrize("find", [private, opened])
def test_each_keeps_to_itself(find: Any) -> None:
    found = {str(path): each for role, path in written() if (each := find(role, path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    ("find", "text", "found"),
    [
        (private, "{{ __host_found.users }} {{ __vllm_state }}", ["__host_found"]),
        (private, "hostvars.x['__service_place']", ["__service_place"]),
        (opened, "{{ role_path }}/../host/vars/main.yml {{ role_path }}/../vllm/tasks/x.yml", ["host/vars"]),
        (opened, "__roles ~ '/service/defaults/main.yml'", ["service/defaults"]),
    ],
)
def test_what_would_be_found(find: Any, text: str, found: list[str]) -> None:
    assert find("vllm", text) == found


def test_what_another_role_reads_has_a_line_in_a_spec() -> None:
    read = {
        (name, str(path.relative_to(REPOSITORY)))
        for role, path in written()
        if "meta" not in path.parts
        for name in re.findall(NAME, re.sub(r"#.*|_from: .*", "", path.read_text()))
        if name.split("_")[0] != role and name not in KNOWN
    }
    assert read == set()


@pytest.mark.parametrize("role", ROLES)
def test_outputs_are_made_there_and_read_elsewhere(role: str) -> None:
    for name in specs(role).get("outputs", {"options": {}})["options"]:
        own = "\n".join(
            path.read_text() for owner, path in written() if owner == role and "meta" not in path.parts
        )
        assert re.search(rf"register: {name}\b|^ *{name}:", own, re.MULTILINE), f"{role} does not make {name}"
        assert [path for owner, path in written() if owner != role and name in path.read_text()], name


def test_no_role_calls_itself_through_others() -> None:
    calls: dict[str, set[str]] = {role: set() for role in ROLES}
    for role, path in written():
        if role and "meta" not in path.parts:  # whose examples are an operator's
            calls[role] |= set(re.findall(r"(?:include|import)_role:\n\s+name: (\w+)", path.read_text()))
    assert "host" in calls["vllm"] and "service" in calls["backend"]
    list(graphlib.TopologicalSorter(calls).static_order())  # raises CycleError

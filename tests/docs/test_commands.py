"""What README and docs tell to type exists: playbooks, options, checks, environments, variables, files."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI

from python_checks import cli
from tests.docs.pages import NOT_COMMANDS, REPOSITORY, names, read, variables

PAGES = [name for name in names() if name not in NOT_COMMANDS]
ROOMS = "ansible|bin|docs|examples|inventory|locks|molecule|python_checks|roles|templates|tests"
PLACEHOLDER = re.compile(r"[A-Z]{3,}|…")  # NAME, DIR, FILE: for the reader to fill in
# Programs of the system. What they are told names nothing of this repository.
SYSTEM = re.compile(r"apt-get|cd|echo|find|journalctl|pip|python3|systemctl|tail|tar|ufw|usermod|\.")
METRIC = "vllm_probe_"
INLINE = re.compile(
    r"(ansible-playbook|bin/|python docs/|locks/compile|molecule |pytest |sudo |checks (?:[a-z-]+ )?-)"
)


def lines(name: str) -> Iterator[str]:
    """Yield what a page tells to type: the lines of its shell blocks, and code in its sentences that begins with one of our programs.

    A sentence may name a check (`checks gpu`) without all that it needs.
    """
    page = read(name)
    for block in page.blocks:
        if block.language in ("sh", "bash"):
            yield from block.text.replace("\\\n", " ").splitlines()
    yield from (code for code in page.codes if INLINE.match(code))


def commands(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line, as words."""
    for part in re.split(r" && | \| |; ", re.sub(r"(^| )#.*", "", line)):
        words = [word for word in shlex.split(part) if not word.startswith(">")]
        if words[:1] == ["ssh"]:
            words = words[2:] if words[1] != "-t" else words[3:]
        if words[:1] == ["sudo"]:
            words = words[1:]
        if words:
            yield words


@cache
def of_playbooks() -> frozenset[str]:
    """Return the names that playbooks read from -e."""
    plays = [
        play
        for path in REPOSITORY.glob("ansible/*.yml")
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    return frozenset(name for play in plays for name in play.get("vars", {}))


def ansible_playbook(arguments: list[str]) -> None:
    """Ansible's own parser takes the options; playbooks, inventories and variables exist."""
    parser = PlaybookCLI(["ansible-playbook"])
    parser.init_parser()
    given = parser.parser.parse_args(
        [word for word in arguments if word != "…"] + (["deploy.yml"] if arguments[-1:] == ["…"] else [])
    )
    for path in [*given.args, *(each for each in given.inventory or [] if each.startswith("inventory/"))]:
        assert PLACEHOLDER.search(path) or (REPOSITORY / path).exists(), path
    for pair in given.extra_vars or []:
        assert pair.partition("=")[0] in variables() | of_playbooks(), pair


def checks(arguments: list[str]) -> None:
    """The command line of the checks takes it."""
    if PLACEHOLDER.search(arguments[0]):
        return
    parser = cli.parser([arguments[0]] if arguments[0] in cli.CHECKS else cli.CHECKS)
    try:
        parser.parse_args([word for word in arguments if word != "…"])
    except SystemExit as end:
        assert end.code == 0, arguments


def demo(arguments: list[str]) -> None:
    """Its usage names the subcommand."""
    usage = (REPOSITORY / "bin/demo").read_text(encoding="utf-8").partition("EOF\n")[2].partition("EOF\n")[0]
    assert not arguments or re.search(rf"^  {arguments[0]} ", usage, re.MULTILINE), arguments


def own_test(arguments: list[str]) -> None:
    """Its script knows the option, tox.ini the environment."""
    tox = configparser.ConfigParser()
    tox.read(REPOSITORY / "tox.ini")
    environments, _, tests = " ".join(arguments).partition("-- ")
    assert all((REPOSITORY / test.partition("::")[0]).exists() for test in tests.split()), tests
    for word in environments.split():
        known = (
            word in (REPOSITORY / "bin/test").read_text(encoding="utf-8")
            if word[0] == "-"
            else tox.has_section(f"testenv:{word}")
        )
        assert known or PLACEHOLDER.search(word), word


def molecule(arguments: list[str]) -> None:
    """There is such a scenario."""
    assert (REPOSITORY / "molecule" / arguments[arguments.index("-s") + 1] / "molecule.yml").exists(), (
        arguments
    )


def files(arguments: list[str]) -> None:
    """What looks like a path of the repository is one."""
    for word in arguments:
        if re.fullmatch(rf"(?:{ROOMS})/\S*", word):
            assert PLACEHOLDER.search(word) or (REPOSITORY / word).exists(), word


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "ansible-playbook": ansible_playbook,
    "bin/demo": demo,
    "bin/test": own_test,
    "checks": checks,
    "molecule": molecule,
    "python": files,
    "pytest": files,
    "locks/compile": files,
}


@pytest.mark.parametrize("name", PAGES)
def test_commands_exist(name: str) -> None:
    for line in lines(name):
        for program, *arguments in commands(line):
            short = "checks" if program.endswith("bin/checks") else program
            if short in PROGRAMS:
                PROGRAMS[short](arguments)
            else:
                files([program, *arguments])
                assert (
                    SYSTEM.fullmatch(program.rpartition("/")[2])
                    or "=" in program
                    or name.startswith("examples/")
                ), f"{name}: {line}"


@pytest.mark.parametrize("name", PAGES)
def test_checks_exist(name: str) -> None:
    for code in read(name).codes:
        named = re.match(r"checks ([a-z][a-z-]*)", code)
        assert not named or named[1] in cli.CHECKS, code


@pytest.mark.parametrize(
    "name", [name for name in PAGES if name != "docs/faults.md"]
)  # it tells of misspelt ones
def test_variables_exist(name: str) -> None:
    page = read(name)
    text = "\n".join(
        [*page.codes, *(block.text for block in page.blocks if block.language in ("yaml", "sh"))]
    )
    for word in re.findall(
        r"(?<![\w./-])(?:host|service|vllm|backend|gateway|monitoring)_[a-z_]+(?![\w/])", text
    ):
        if word.startswith(METRIC):
            assert word.removeprefix(METRIC) in metrics(), word
        else:
            assert word in variables(), f"{name}: there is no variable {word}"


def metrics() -> set[str]:
    """Return the names of the metrics of a probe: those that each has, and the figures that some measure."""
    package = REPOSITORY / "python_checks"
    found = re.findall(r'gauge\("(\w+)"', (package / "report/textfile.py").read_text(encoding="utf-8"))
    for path in [*package.glob("checks/*.py"), *package.glob("canary/*.py")]:
        for name, rest in re.findall(r'Figure\("(\w+)"(.*)', path.read_text(encoding="utf-8")):
            found.append(name + ("_seconds" if ', "s"' in rest else ""))
    return set(found)


@pytest.mark.parametrize("name", PAGES)
def test_files_exist(name: str) -> None:
    files([code for code in read(name).codes if " " not in code])


def part(name: str, begin: str, end: str) -> str:
    """Return what lies between two texts of a page."""
    return (REPOSITORY / name).read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]


def test_every_check_has_a_row() -> None:
    table = part("docs/services.md", "| check | proves |\n", "\n\n")
    first = [
        name
        for cell in re.findall(r"^\|(.+?)\|", table, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", cell)
    ]
    assert sorted(first) == sorted(cli.CHECKS)


def test_the_table_of_playbooks_names_playbooks() -> None:
    table = part("README.md", "\n## Operate\n", "\n## ")
    found = re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)
    assert len(found) >= 7
    assert [name for name in found if not (REPOSITORY / f"ansible/{name}.yml").exists()] == []
    assert {*re.findall(r"-e (\w+)=", table)} <= of_playbooks()

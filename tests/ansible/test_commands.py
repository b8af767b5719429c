"""bin/demo and the virtual environments of bin/, in a controller as it is found: locales, directories, two at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from playbooks import REPOSITORY

PARTS = ("bin", "ansible", "roles", "inventory", "ansible.cfg", "locks/controller.txt")
LOCALES = ("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LANGUAGE")
Done = subprocess.CompletedProcess[str]


def run(command: list[str | Path], directory: Path, *without: str, **environment: str) -> Done:
    """Run a command with a changed environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(
        command,
        cwd=directory,
        env=inherited | {"ANSIBLE_NOCOLOR": "1", "PYTHON": sys.executable} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def copy(directory: Path) -> Path:
    """Copy what bin/demo runs, with an environment that is made already: the one that runs this."""
    for name in PARTS:
        source, target = REPOSITORY / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
    environment = directory / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    want = 'printf "%s" "$(cksum <"$1") $2" >"$3/.complete"'
    lock = directory / "locks/controller.txt"
    subprocess.run(["sh", "-c", want, "sh", lock, sys.executable, environment], timeout=60, check=True)
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which something is deployed, so that bin/demo status asks Ansible."""
    (tmp_path / "c/.demo").mkdir(parents=True)
    return copy(tmp_path / "c")


def asked(done: Done) -> bool:
    """Tell whether Ansible did what it was asked for, and without a complaint of its own."""
    words = ("WARNING", "DEPRECATION", "Traceback", "locale")
    assert done.returncode == 2 and "Nothing is deployed on demo" in done.stdout, done.stdout
    return not any(word in done.stdout for word in words)


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        pytest.param({"LC_ALL": "POSIX"}, marks=pytest.mark.slow),
        pytest.param({"LANG": "C"}, marks=pytest.mark.slow),
        {},
        pytest.param({"LC_ALL": "xx_YY.UTF-8"}, marks=pytest.mark.slow),
        pytest.param({"LANG": "de_DE.ISO-8859-1"}, marks=pytest.mark.slow),
        pytest.param({"LANG": "C.UTF-8", "LC_TIME": "xx_YY"}, marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "C.UTF-8"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_demo_works_in_every_locale(checkout: Path, locale: dict[str, str]) -> None:
    assert asked(run(["bin/demo", "status"], checkout, *LOCALES, **locale))


@pytest.mark.parametrize(
    ("locale", "language"),
    [({"LC_ALL": "ko_KR.EUC-KR"}, "ko_KR.EUC-KR"), ({"LANG": "xx.UTF-8", "LC_MESSAGES": "ko_KR"}, "ko_KR"), ({"LC_ALL": "C"}, "C")],
)  # fmt: skip
def test_the_language_stays_the_callers(locale: dict[str, str], language: str) -> None:
    script = '. bin/venv.sh; python=$PYTHON; use_utf8; echo "$LC_ALL $CHECKS_LOCALE"'
    assert run(["sh", "-euc", script], REPOSITORY, *LOCALES, **locale).stdout == f"C.UTF-8 {language}\n"


def test_a_locale_with_utf8_is_left_as_it_is() -> None:
    script = '. bin/venv.sh; python=$PYTHON; use_utf8; echo "$LANG ${LC_ALL-unset} ${CHECKS_LOCALE-unset}"'
    assert run(["sh", "-euc", script], REPOSITORY, *LOCALES, LANG="C.UTF-8").stdout == "C.UTF-8 unset unset\n"


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/nonexistent"},
        pytest.param({"HOME": "/proc"}, marks=pytest.mark.slow),
        {"ANSIBLE_CONFIG": "/nonexistent.cfg"},
    ],
    ids=str,
)
def test_the_demo_works_with_a_strange_environment(checkout: Path, environment: dict[str, str]) -> None:
    assert asked(run(["bin/demo", "status"], checkout, "HOME", **environment))


def test_the_demo_works_with_spaces_in_the_temporary_directory(checkout: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="a b 한 'q' %d ", dir="/tmp") as directory:  # short, for sockets
        assert asked(run(["bin/demo", "status"], checkout, TMPDIR=directory))


def test_the_demo_works_without_a_home_and_from_elsewhere(checkout: Path) -> None:
    other = checkout / "other.cfg"
    other.write_text("[defaults]\nroles_path = /nonexistent\n")
    assert asked(run([checkout / "bin/demo", "status"], Path("/"), "HOME", ANSIBLE_CONFIG=str(other)))


@pytest.mark.slow
def test_the_demo_works_where_others_may_write(checkout: Path) -> None:
    checkout.chmod(0o777)
    assert asked(run(["bin/demo", "status"], checkout))


@pytest.mark.parametrize(
    "name", ["my checkout", "tab\there", "it's", 'a"b', "100%", "a:b", "$HOME", "a*", "line\nend"]
)
def test_a_directory_that_compilers_would_split_is_refused_at_once(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    shutil.copytree(REPOSITORY / "bin", directory / "bin")
    done = run(["bin/demo"], directory)
    assert done.returncode == 2
    assert f"{directory}/.demo is no absolute path of letters, digits" in done.stdout
    assert "DEMO_DIRECTORY=" in done.stdout
    assert [path.name for path in directory.iterdir()] == ["bin"]


@pytest.mark.slow
def test_a_checkout_in_such_a_directory_with_a_demo_elsewhere(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    demo.mkdir()
    assert asked(
        run(["bin/demo", "status"], copy(tmp_path / "my checkout 한글 'q'"), DEMO_DIRECTORY=str(demo))
    )


@pytest.mark.slow
def test_of_two_first_runs_the_second_waits(tmp_path: Path) -> None:
    lock = tmp_path / "empty.txt"
    lock.touch()
    script = (
        f". {REPOSITORY}/bin/venv.sh; make_venv new/venv {lock}; new/venv/bin/python -c 'print(\"it runs\")'"
    )
    children = [
        subprocess.Popen(
            ["sh", "-euc", script],
            cwd=tmp_path,
            env=os.environ | {"PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=600)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert all("it runs" in output for output in outputs)
    first, second = sorted(outputs, key=lambda output: "Installing" not in output)
    assert "Installing" in first and "Installing" not in second
    assert "Another run installs into new/venv; waiting for it" in second

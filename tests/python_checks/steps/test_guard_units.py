"""Whose a process is by its control group: by what kernels write, and in groups made for the tests."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.host import cgroups
from tests.python_checks.hosted import Hosted
from tests.python_checks.island import Island

MOUNT = Path("/sys/fs/cgroup")
# Where systemd's groups are on a machine with cgroup v2, v1, or both.
TREES = [path for path in (MOUNT, MOUNT / "unified", MOUNT / "systemd") if (path / "cgroup.procs").exists()]
UNIT = "vllm-deploy-test.service"
as_root = pytest.mark.skipif(os.geteuid() != 0 or not TREES, reason="NOT TESTED: control groups need root")


@pytest.fixture(params=TREES, ids=str)
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a control group that is a unit's, and remove it when the test's processes are gone."""
    outer = request.param / f"vllm-deploy-{os.getpid()}.slice"
    made = outer / UNIT
    made.mkdir(parents=True)
    yield made
    deadline = time.monotonic() + 10
    for path in made, outer:
        while path.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                path.rmdir()
            time.sleep(0.05)
    assert not outer.exists()


def inside(group: Path) -> tuple[str, ...]:
    """Return what puts a command into a group."""
    return "sh", "-c", f'echo 0 >{group}/cgroup.procs && exec "$@"', "sh"


@as_root
def test_our_own_unit_may_run_on_before_a_restart(group: Path, island: Island, free_port: int) -> None:
    options = ("--port", str(free_port), "--unit")
    pid = island.engine("VLLM::EngineCore", before=inside(group))
    assert island.guard(*options, UNIT).returncode == 0
    foreign = island.guard(*options, "vllm.service")
    assert foreign.returncode == 2
    assert f"another vLLM runs on this host: pid {pid} " in foreign.stdout and f"in {UNIT})" in foreign.stdout
    island.engine("VLLM::Worker_TP0")
    assert "VLLM::Worker_TP0" in island.guard(*options, UNIT).stdout


@as_root
def test_at_the_start_nothing_of_our_unit_may_be_left(group: Path, island: Island, free_port: int) -> None:
    options = ("--port", str(free_port), "--unit", UNIT)
    assert island.guard(*options, before=inside(group)).returncode == 0
    pid = island.engine("VLLM::EngineCore", before=inside(group))
    done = island.guard(*options, before=inside(group))
    assert done.returncode == 2 and f"the last run of {UNIT} has not ended: pid {pid} " in done.stdout


@pytest.mark.parametrize(
    ("group", "manager", "wanted"),
    [
        ("/system.slice/vllm.service", "/init.scope", "vllm.service"),
        ("/system.slice/vllm.service/.control", "/init.scope", "vllm.service"),
        ("/system.slice/system-vllm.slice/vllm@1.service/x.service", "/init.scope", "vllm@1.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "/init.scope", "session-3.scope"),
        # A unit of the same name under another manager: a user's, a container's.
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/vllm.service",
            "/init.scope",
            "user@1000.service",
        ),
        ("/system.slice/docker-0a1b.scope/system.slice/vllm.service", "/init.scope", "docker-0a1b.scope"),
        # Seen from inside a container that shares its host's view, ours begins where process 1 is.
        (
            "/machine.slice/c.scope/system.slice/vllm.service",
            "/machine.slice/c.scope/init.scope",
            "vllm.service",
        ),
        ("/machine.slice/c.scopes/vllm.service", "/machine.slice/c.scope/init.scope", "c.scopes"),
        ("/../../system.slice/ssh.service", "/", "ssh.service"),
        ("/", "/", ""),
        ("/system.slice", "/init.scope", ""),
    ],
)
def test_the_unit_of_a_group(group: str, manager: str, wanted: str) -> None:
    assert cgroups.choose({"": group}, {"": manager}) == wanted


def test_a_guest_with_v2_on_a_hybrid_machine_has_its_unit_in_v2_only() -> None:
    # Seen in a test host of tests/hosts on such a machine.
    manager = {"name=systemd": "/", "": "/init.scope"}
    assert cgroups.choose({"name=systemd": "/", "": "/system.slice/vllm.service"}, manager) == "vllm.service"


def test_who_is_gone_is_in_no_unit() -> None:
    assert cgroups.unit(2**22 + 1) == ""


@as_root
def test_a_registered_sibling_is_let_be_and_a_stranger_is_not(
    group: Path, island: Island, free_port: int, hosted: Hosted
) -> None:
    hosted.add(UNIT.removesuffix(".service"))
    options, home = ("--port", str(free_port), "--unit", "embeddings.service"), str(hosted.home)
    pid = island.engine("VLLM::EngineCore", before=inside(group))
    assert island.guard(*options, CHECKS_HOME=home).returncode == 0
    assert f"pid {pid} " in island.guard(*options).stdout
    stranger = island.engine("VLLM::EngineCore")
    refused = island.guard(*options, CHECKS_HOME=home)
    assert refused.returncode == 2 and f"another vLLM runs on this host: pid {stranger} " in refused.stdout
    assert f"pid {pid} " not in refused.stdout

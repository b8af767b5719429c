"""The firewall: ufw's table as recorded, and the doctor's words."""

from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.doctor import diagnosis, firewall
from python_checks.service.facts import Service
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.gpu_support import script

RECORDED = Path(__file__).parents[1] / "firewall"
EVERYBODY = Service("vllm", pid=1, command=["--host", "0.0.0.0", "--port", "8000"])


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "port", "wrong"),
    [
        ("ufw_deny", 22, False),
        ("ufw_deny", 8000, True),
        ("ufw_deny", 8001, False),  # for one network
        ("ufw_allow", 8000, False),
        ("ufw_allow", 9000, True),
        ("ufw_allow", 8100, False),
        ("ufw_allow", 8250, False),
        ("ufw_allow", 443, False),
        ("ufw_allow", 7000, True),
    ],
)
def test_ufw(name: str, port: int, wrong: bool) -> None:
    wall = firewall.by_ufw(recorded(f"{name}.txt"), port)
    assert bool(wall) is wrong
    if wall:
        assert f"port {port}" in wall.remedy and wall.words.startswith("ufw status: ")


def test_ufw_that_says_nothing_closes_nothing() -> None:
    for text in ("", "Status: inactive\n", "ERROR: You need to be root to run this script\n"):
        assert firewall.by_ufw(text, 8000) is None
    other = recorded("ufw_deny.txt").replace("deny (incoming)", "allow (incoming)")
    assert firewall.by_ufw(other, 8000) is None
    some = other.replace("ALLOW IN    10.0.0.0/8", "DENY IN     10.0.0.0/8")
    assert some != other and firewall.by_ufw(some, 8001) is None
    named = recorded("ufw_deny.txt").replace(
        "22/tcp  ", "10.0.0.9 8000/tcp ", 1
    )  # of one address of the host
    assert firewall.by_ufw(named, 8000) is None


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty PATH on which programs can be put."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(firewall, "SBIN", str(tmp_path))
    return tmp_path


def test_ufw_is_asked_only_for_a_service_that_others_may_reach(programs: Path) -> None:
    script(
        programs / "ufw",
        f'echo asked >>{programs}/log\nwhile read -r line; do echo "$line"; done <{RECORDED}/ufw_deny.txt',
    )
    local = Service("backend", pid=1, command=["--host", "127.0.0.1", "--port", "8000"])
    assert firewall.walls({"backend": local, "vllm": Service("vllm", command=EVERYBODY.command)}) == {}
    assert not (programs / "log").exists()
    assert list(firewall.walls({"vllm": EVERYBODY, "backend": local})) == ["vllm"]


def test_what_may_not_be_asked_or_hangs_is_silent(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert firewall.walls({"vllm": EVERYBODY}) == {}
    script(programs / "ufw", "echo 'ERROR: You need to be root to run this script'; exit 1")
    assert firewall.walls({"vllm": EVERYBODY}) == {}
    monkeypatch.setattr(firewall, "TIMEOUT", 0.2)
    script(programs / "ufw", "while :; do :; done")
    assert firewall.walls({"vllm": EVERYBODY}) == {}


def test_the_doctor_names_the_rule_and_how_to_let_somebody_in() -> None:
    wall = firewall.by_ufw(recorded("ufw_deny.txt"), 8000)
    assert wall
    finding = one(signs(walls={"vllm": wall}))
    assert finding.state is State.WARNING
    assert finding.symptom.startswith("other hosts get no connection to vllm at port ")
    assert finding.evidence == "ufw status: Default: deny (incoming), and no rule for port 8000"
    assert "sudo ufw allow from ADDRESS to any port 8000 proto tcp" in finding.remedy


def test_a_server_for_its_own_host_says_so() -> None:
    assert "vllm (127.0.0.1:18741 for this host only)" in diagnosis.well(signs())

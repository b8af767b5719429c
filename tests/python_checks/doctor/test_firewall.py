"""The firewall: recorded rulesets against what the kernel did with them, ufw's table, and the doctor's words."""

from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.doctor import diagnosis, firewall, nft
from python_checks.service.facts import Service
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.gpu_support import script

RECORDED = Path(__file__).parents[1] / "firewall"
# What connections from another network namespace met at each port (firewall/README.md).
OPEN, CLOSED = (22, 80, 443, 8005, 8080, 8081, 8105, 9300), (9150, 9301, 9400, 8500)
SOME = (8082, 8200)  # refused there, as only one network or one interface may: that is no fault
EVERYBODY = Service("vllm", pid=1, command=["--host", "0.0.0.0", "--port", "8000"])


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def closed(name: str, port: int) -> str:
    return nft.Walk(recorded(f"{name}.json"), port, "ip").closed_by()


@pytest.mark.parametrize("port", OPEN + SOME)
def test_ports_that_somebody_reaches(port: int) -> None:
    assert closed("nft_allow", port) == ""


@pytest.mark.parametrize("port", CLOSED)
def test_ports_that_nobody_reaches(port: int) -> None:
    assert closed("nft_allow", port) == "inet filter input"


@pytest.mark.parametrize("port", [22, 8000, 8400, 8500, 8300])  # 8300: for one address
def test_zones_as_of_firewalld_that_let_a_port_in(port: int) -> None:
    assert closed("nft_zones", port) == ""


@pytest.mark.parametrize("port", [8001, 8080, 8600])
def test_zones_as_of_firewalld_that_do_not(port: int) -> None:
    assert closed("nft_zones", port) == "inet firewalld filter_INPUT"


def test_what_goes_to_another_chain_does_not_come_back() -> None:
    """8001 does so only by one interface."""
    assert [closed("nft_goto", port) for port in (22, 8000, 8001)] == [""] * 3
    assert closed("nft_goto", 8002) == "inet t input"


def test_a_rule_that_drops_the_port_itself() -> None:
    assert closed("nft_drop", 8000) == "ip filter input"
    assert closed("nft_drop", 22) == ""
    assert nft.Walk(recorded("nft_drop.json"), 8000, "ip6").closed_by() == ""  # a table of IPv4


def test_what_iptables_hides_closes_nothing_but_the_port_that_a_rule_names() -> None:
    assert closed("iptables", 8000) == "ip filter INPUT"
    assert closed("iptables", 9000) == ""  # its multiport may let it in: nft tells no more
    assert closed("ufw_deny", 8000) == ""


def test_a_grammar_that_is_not_known_closes_nothing() -> None:
    text = recorded("nft_drop.json")
    unnamed = recorded("iptables.json").replace(
        '{"type": "match", "name": "conntrack"}', "null"
    )  # nft 1.0.2 and older
    assert unnamed != recorded("iptables.json")
    assert firewall.by_nft(unnamed, EVERYBODY) and firewall.by_nft(text, EVERYBODY)
    for strange in (text[:300], text.replace('"prio": 0, ', ""), text.replace('{"drop": null}', "3")):
        assert firewall.by_nft(strange, EVERYBODY) is None


def test_a_map_of_verdicts_that_is_kept_elsewhere_closes_nothing() -> None:
    text = recorded("nft_allow.json")
    named = text.replace(
        '"data": {"set": [[9300, {"accept": null}], [9301, {"drop": null}]]}', '"data": "@ports"'
    )
    assert named != text
    assert nft.Walk(named, 8500, "ip").closed_by() == ""


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


def test_the_programs_are_asked_only_for_a_service_that_others_may_reach(programs: Path) -> None:
    script(
        programs / "nft",
        f"echo '# Warning: table ip filter is managed by iptables-nft' >&2\necho asked >>{programs}/log\n"
        f'while read -r line; do echo "$line"; done <{RECORDED}/nft_drop.json',
    )
    local = Service("backend", pid=1, command=["--host", "127.0.0.1", "--port", "8000"])
    assert firewall.walls({"backend": local, "vllm": Service("vllm", command=EVERYBODY.command)}) == {}
    assert not (programs / "log").exists()
    [wall] = firewall.walls({"vllm": EVERYBODY, "backend": local}).values()
    assert "chain ip filter input drops" in wall.words and "nft insert rule ip filter input" in wall.remedy


def test_what_may_not_be_asked_or_hangs_is_silent(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert firewall.walls({"vllm": EVERYBODY}) == {}
    script(programs / "ufw", "echo 'ERROR: You need to be root to run this script'; exit 1")
    script(programs / "nft", "echo 'Operation not permitted (you must be root)'; exit 1")
    assert firewall.walls({"vllm": EVERYBODY}) == {}
    monkeypatch.setattr(firewall, "TIMEOUT", 0.2)
    script(programs / "nft", "while :; do :; done")
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

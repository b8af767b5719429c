"""`canary` where it cannot tell, or cannot keep what it found: unknown, and no restart."""

import fcntl
import resource

import pytest

from tests.python_checks.canary_support import RESTART, Canary


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"process": [1, 2]}', "\0\0\0", '{"process": "ab"}']
)
def test_a_state_that_is_none_is_unknown(canary: Canary, text: str) -> None:
    canary.state.write_text(text)
    code, result = canary.run()
    assert code == 3 and f"{canary.state} is no state of the canary" in result["reason"]
    assert "remove it" in result["remedy"] and canary.state.read_text() == text


def test_a_state_that_cannot_be_read_is_unknown(canary: Canary) -> None:
    canary.state.mkdir()
    code, result = canary.run()
    assert code == 3 and "state cannot be read" in result["reason"]


@pytest.mark.parametrize("directory", ["/proc", "/no/such/directory"])
def test_a_directory_that_takes_no_file_is_unknown(canary: Canary, directory: str) -> None:
    code, result = canary.run(
        "--state", f"{directory}/state.json"
    )  # nobody, not even root, makes files in /proc
    assert code == 3 and "no lock for the canary's state" in result["reason"]


def test_a_heal_that_cannot_be_put_on_record_is_not_made(canary: Canary) -> None:
    canary.quick()
    canary.mode("hang")
    canary.run(), canary.run()
    before = canary.state.read_text()

    def full() -> None:  # no file may grow, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    for mode in ("hang", "answer"):
        canary.mode(mode)
        code, result = canary.run(preexec_fn=full)
        assert code == 3 and "state cannot be written" in result["reason"]
    assert canary.state.read_text() == before and canary.restarts == []
    assert sorted(path.name for path in canary.directory.glob(".*")) == [".state.json.lock"]
    canary.mode("hang")
    assert "heal 1 of 3" in canary.run()[1]["reason"] and canary.restarts == [RESTART]


def test_two_canaries_do_not_heal_at_once(canary: Canary) -> None:
    canary.run()
    with (canary.directory / ".state.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, result = canary.run()
    assert code == 3 and "another run is at work" in result["reason"]


@pytest.mark.parametrize(
    "shown", ["", "LoadState=not-found\nActiveState=inactive\n", "LoadState=loaded\nActiveState=odd\n"]
)
def test_a_manager_that_does_not_tell_is_unknown(canary: Canary, shown: str) -> None:
    (canary.directory / "shown").write_text(shown)
    code, result = canary.run()
    assert code == 3 and "systemd does not tell how vllm is" in result["reason"] and not canary.state.exists()


def test_without_a_manager_it_is_unknown(canary: Canary) -> None:
    canary.register("vllm", "supervisor", control=["/no/such/program", "--configuration", "/no/such/file"])
    code, result = canary.run()
    assert code == 3 and "No such file" in result["reason"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "http://no-such-host.invalid"], "no connection to no-such-host.invalid"),
        (["--timeout", "1"], "busy or hung cannot be told: /metrics says 200 and tells no counters"),
    ],
)
def test_what_proves_nothing_is_unknown(canary: Canary, options: list[str], words: str) -> None:
    canary.mode("blind")
    for _ in range(4):
        code, result = canary.run(*options)
        assert code == 3 and words in result["reason"] and canary.restarts == []

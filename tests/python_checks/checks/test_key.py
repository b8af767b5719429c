"""`key`: the key is shown once, and its row is right."""

import hashlib

from tests.python_checks.support import Probe


def test_a_new_key_is_shown_once_and_its_row_is_right(probe: Probe) -> None:
    done = probe("key", "team-b", "--expires", "2099-12-31", "--format", "json")
    key = done.stderr.splitlines()[0].split()[-1]
    assert key not in done.stdout and len(key) > 40
    assert f'sha256: "{hashlib.sha256(key.encode()).hexdigest()}"' in done.stderr
    assert 'expires: "2099-12-31"' in done.stderr
    assert probe("key", "no good").returncode == 3

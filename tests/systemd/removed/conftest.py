"""Tests that leave nothing deployed: they come after all others."""

from tests.systemd.fixtures import deployed, fresh_host, host, pytest_runtest_makereport, unlocked

__all__ = ["deployed", "fresh_host", "host", "pytest_runtest_makereport", "unlocked"]

"""SHA256SUMS as sha256sum writes it, and names that lead elsewhere."""

import subprocess
from pathlib import Path

import pytest

from python_checks.core.result import CheckError
from python_checks.model import manifest

SUM = "0" * 64


@pytest.mark.parametrize(
    "command", ["sha256sum *", "sha256sum -b -- *", "find . -type f -exec sha256sum {} +"]
)
def test_what_sha256sum_writes(tmp_path: Path, command: str) -> None:
    (tmp_path / "a b.json").write_text("x")
    (tmp_path / "값.bin").write_text("y")
    text = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(manifest.parse(text)) == ["a b.json", "값.bin"]
    assert manifest.parse(text.replace("\n", "\r\n")) == manifest.parse(text)
    assert manifest.parse(f"{text}{SUM}  {manifest.NAME}\n") == manifest.parse(text)


def test_a_name_with_a_line_break_as_sha256sum_writes_it(tmp_path: Path) -> None:
    (tmp_path / "a\nb").write_text("x")
    text = subprocess.run(
        "sha256sum *", shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    with pytest.raises(CheckError, match="line 1"):
        manifest.parse(text)


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "..", ".", "a\x1b[2J", "a\tb", "a\\b", "a\u202eb", "a\0b", "x" * 300,
     manifest.MARK, "a/", "/".join("x" * 200 for _ in range(9))],
)  # fmt: skip
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(CheckError, match="SHA256SUMS, line 2") as refused:
        manifest.parse(f"{SUM}  config.json\n{SUM}  {name}\n")
    assert refused.value.fault.reason.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        f"{SUM}  a\n{'1' * 64}  a\n",
        f"{SUM}  a\n{SUM}  a/b\n",
        "abc  a\n",
        f"SHA256 (a) = {SUM}\n",
        f"{SUM}  {manifest.NAME}\n",
    ],
)
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(CheckError) as refused:
        manifest.parse(text)
    assert "sha256sum" in refused.value.fault.remedy and "{" in refused.value.fault.remedy

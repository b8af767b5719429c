"""Weight files whose size, header or length is wrong."""

import os
from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.model.files import judge


def test_a_truncated_shard_is_named_with_its_bytes(model: Path) -> None:
    path = model / "model-00001-of-00002.safetensors"
    whole = path.stat().st_size
    os.truncate(path, whole - 10)
    reason = judge(model).reason
    assert reason == f"{path.name} is truncated: {whole - 10} bytes, its header says {whole}"
    os.truncate(path, 20)
    assert f"{path.name} is cut in its header: 20 bytes" in judge(model).reason
    os.truncate(path, 3)
    assert f"{path.name} is cut in its header: 3 bytes" in judge(model).reason


def test_a_shard_with_bytes_to_spare_is_named(model: Path) -> None:
    with (model / "model-00002-of-00002.safetensors").open("ab") as file:
        file.write(b"xx")
    assert "model-00002-of-00002.safetensors is too long" in judge(model).reason


@pytest.mark.parametrize(
    "header", [b"{nope", b"[]", b'{"a": {}}', b'{"a": {"data_offsets": [4, 8]}}', b"\xff\xfe"]
)
def test_a_header_that_makes_no_sense_is_named(model: Path, header: bytes) -> None:
    path = model / "model-00002-of-00002.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"12345678")
    result = judge(model)
    assert result.state is State.CRITICAL and path.name in result.reason and "header" in result.reason

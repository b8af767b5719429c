"""What other services of the host take of the same GPUs, whether they run now or not."""

import pytest

from python_checks.gpu import inventory, siblings
from python_checks.gpu.inventory import Gpu
from python_checks.service import registry
from tests.python_checks.gpu_support import document
from tests.python_checks.hosted import Hosted


@pytest.fixture
def gpus() -> list[Gpu]:
    """Give two GPUs of 80 GB."""
    return list(inventory.parse(document("h100x2")).gpus)


def test_shares_of_the_same_gpus(gpus: list[Gpu]) -> None:
    options = {"gpu-memory-utilization": "0.25", "devices": "1", "tensor-parallel-size": "1"}
    found = siblings.shares(gpus, {"embeddings": options, "backend": {"url": "http://127.0.0.1:8080"}})
    assert found == {"1": {"embeddings": 0.25}}
    assert siblings.shares(gpus, {}) == {}
    [fault] = siblings.judge(gpus, found, 0.9)
    assert fault.reason == "GPU 1: embeddings takes 0.25 of its memory, and 0.9 is asked for"
    assert "--gpu-memory-utilization 0.75 at most" in fault.remedy
    assert siblings.judge(gpus, found, 0.75) == []
    whole = (gpus[1].usable or 0) * siblings.MIB
    assert siblings.left(gpus[1], whole, found) == pytest.approx(0.75 * whole)
    assert siblings.left(gpus[0], whole, found) == whole


def test_the_others_of_a_host(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKS_HOME", str(hosted.home))
    for name in ("vllm", "embeddings"):
        hosted.add(name)
    assert [row.name for row in registry.siblings("vllm")] == ["embeddings"]
    (hosted.home / "services/embeddings.json").unlink()
    (hosted.home / "services/embeddings.json").write_text("nonsense")
    assert registry.siblings("vllm") == [], "what cannot be read stops no start"

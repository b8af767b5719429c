"""GPUs on the status screen, from the documents that nvidia-smi printed."""

from pathlib import Path

import pytest

from python_checks.core.result import Line, State
from python_checks.gpu import status_lines
from tests.python_checks.gpu_support import document, script


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the place of the only nvidia-smi on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "nvidia-smi"


def says(smi: Path, text: str) -> list[Line]:
    (smi.parent / "document.xml").write_text(text)
    script(smi, f"cat {smi.parent}/document.xml")
    return status_lines.gpus()


def test_each_gpu_in_a_line(smi: Path) -> None:
    busy = "<gpu_util>43 %</gpu_util>"
    text = document("h100x1").replace("<used>0 MiB</used>", "<used>73123 MiB</used>")
    assert "<utilization>" not in text
    text = text.replace("<fb_memory_usage>", f"<utilization>{busy}</utilization><fb_memory_usage>", 1)
    assert says(smi, text) == [Line("GPU 0", "NVIDIA H100 80GB HBM3, 71.4 of 79.6 GiB used, 43 % busy")]
    silent = text.replace("73123 MiB", "[N/A]").replace("43 %", "[N/A]")
    assert says(smi, silent) == [Line("GPU 0", "NVIDIA H100 80GB HBM3")]
    assert [line.label for line in says(smi, document("h100x2"))] == ["GPU 0", "GPU 1"]


def test_no_gpu(smi: Path) -> None:
    text = document("h100x1")
    begin, end = text.index("<gpu "), text.index("</gpu>") + len("</gpu>")
    assert says(smi, text[:begin] + text[end:]) == [Line("GPUs", "no GPU", State.WARNING)]


def test_no_nvidia_smi_and_one_that_fails(smi: Path) -> None:
    assert status_lines.gpus() == [Line("GPUs", "no GPU (nvidia-smi is not installed)")]
    script(smi, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    (line,) = status_lines.gpus()
    assert line.state is State.CRITICAL and "Driver/library version mismatch" in line.words

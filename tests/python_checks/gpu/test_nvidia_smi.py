"""nvidia-smi's documents and tables, each from a file."""

import pytest

from python_checks.core.result import CheckError
from python_checks.gpu import inventory, nvidia_smi
from python_checks.gpu.inventory import Gpu, Holder
from tests.python_checks.gpu_support import DOCUMENTS, document


def reasons(gpu: Gpu) -> list[str]:
    """Return what the fields of a GPU tell."""
    return [fault.reason for fault in gpu.faults]


def test_two_h100() -> None:
    found = inventory.parse(document("h100x2"))
    assert (found.driver, found.cuda, len(found.gpus)) == ("580.95.05", "13.0", 2)
    second = found.gpus[1]
    assert (second.index, second.bus, second.name) == (1, "0000:43:00", "NVIDIA H100 80GB HBM3")
    assert second.uuid == "GPU-2a1b2c3d-0000-4000-8000-000000000002"
    assert (second.usable, second.free) == (81152, 81152)  # 79.25 GiB
    assert (second.persistence, second.mig, second.corrected, second.uncorrected) == (True, False, 0, 0)
    assert second.faults == () and second.holders == ()


def test_fields_that_say_nothing_are_nothing() -> None:
    (gpu,) = inventory.parse(document("laptop")).gpus
    assert (gpu.usable, gpu.free) == (7798, 5772)
    assert (gpu.mig, gpu.corrected, gpu.uncorrected, gpu.faults) == (False, 0, 0, ())
    for nothing in ("N/A", "[Not Supported]", "[N/A]", "Requested functionality has been deprecated"):
        text = document("h100x1").replace("81559 MiB", nothing).replace("81152 MiB", nothing)
        (gpu,) = inventory.parse(
            text.replace(">Enabled<", f">{nothing}<").replace(">0<", f">{nothing}<")
        ).gpus
        assert (gpu.usable, gpu.free, gpu.persistence, gpu.corrected, gpu.faults) == (
            None,
            None,
            None,
            0,
            (),
        )


def test_a_process_name_that_breaks_the_document_is_dropped() -> None:
    (gpu,) = inventory.parse(document("laptop")).gpus
    assert gpu.holders == (Holder(999999903, "G", "", 1448), Holder(999999904, "G", "", 23))
    with pytest.raises(CheckError, match="gave no XML"):
        inventory.parse("No devices")


def test_trouble_is_what_the_driver_says() -> None:
    gpu = inventory.parse(document("sick")).gpus[0]
    assert gpu.uncorrected == 3 and gpu.corrected == 0
    assert reasons(gpu) == ["the driver asks for: Reset", "a row of its memory waits to be remapped"]
    reset = "<gpu_reset_status><reset_required>Yes</reset_required></gpu_reset_status><processes>"
    old = inventory.parse(document("old_driver").replace("<processes>", reset, 1))
    assert [reasons(gpu) for gpu in old.gpus] == [["it has to be reset"], []]
    lost = document("h100x2").replace("<free>81152 MiB</free>", "<free>GPU is lost</free>", 1)
    assert reasons(inventory.parse(lost).gpus[0]) == ["the driver says: GPU is lost"]


def test_names_of_new_drivers() -> None:
    new = "<kmd_version>610.43.02</kmd_version><cuda_umd_version>13.3</cuda_umd_version>"
    found = inventory.parse(f"<nvidia_smi_log>{new}</nvidia_smi_log>")
    assert (found.driver, found.cuda) == ("610.43.02", "13.3")


def test_mig_counts_the_smallest_slice() -> None:
    first, second = inventory.parse(document("mig")).gpus
    assert (first.mig, first.usable, first.free) == (True, 20096, None)
    assert (second.mig, second.usable) == (False, 81152)


def test_tables() -> None:
    assert nvidia_smi.peers((DOCUMENTS / "ok.p2p").read_text()) == {(0, 1): "OK"}
    assert nvidia_smi.peers((DOCUMENTS / "none.p2p").read_text()) == {(0, 1): "CNS"}
    four = "\tGPU0\tGPU1\tGPU2\n GPU0\tX\tOK\tTNS\n GPU1\tOK\tX\tOK\n GPU2\tTNS\tOK\tX\n"
    assert nvidia_smi.peers(four) == {(0, 1): "OK", (0, 2): "TNS", (1, 2): "OK"}
    assert nvidia_smi.peers("") == {} == nvidia_smi.peers("Invalid combination of input arguments.")
    assert nvidia_smi.capabilities("0, 9.0\n1, [N/A]\n2, 12.0\n") == {0: (9, 0), 2: (12, 0)}

"""What drivers said (tests/python_checks/cases/gpu-documents), and more of the same kinds: what the gpu check says of it."""

import os
import re
import sys
from pathlib import Path

import pytest

from python_checks.core.result import CheckError, Fault, State
from python_checks.gpu import hardware as gpu_hardware
from python_checks.gpu import holders, inventory, nvidia_smi, xid
from python_checks.gpu.known_fields import ACTIONS, RESET
from python_checks.host import processes
from tests.python_checks.gpu_support import NCCL, Host, document, make_gpt_oss, script
from tests.python_checks.island import LISTEN, Island
from tests.python_checks.support import Probe

CASES = Path(__file__).parents[1] / "cases" / "gpu-documents"
INFOROM = "WARNING: infoROM is corrupted at gpu 0000:1B:00.0"


@pytest.fixture
def host(probe: Probe, tmp_path: Path) -> Host:
    """Give a host with GPUs."""
    return Host(probe, tmp_path / "bin")


def case(name: str) -> str:
    return (CASES / name).read_text()


@pytest.mark.parametrize(
    ("name", "code", "state", "words", "remedy"),
    [
        ("inforom14.xml", 14, 1, "the infoROM of a GPU is corrupt", "have it looked at"),
        ("cuda_notfound.xml", 0, 2, "its CUDA library is not found", "libcuda.so.1"),
        ("fabric_degraded.xml", 0, 2, "the bandwidth of its NVLink fabric is Degraded", "fabricmanager"),
        ("fabric_degraded.xml", 0, 2, "a route of its NVLink fabric is lost", "fabricmanager"),
        ("channel_repair.xml", 0, 1, "the repair of a memory channel waits for a reset", "sudo nvidia-smi -i 0 -r"),
        ("vgpu_unlicensed.xml", 0, 2, "its licence is Unlicensed (Restricted)", "gridd.conf"),
        ("recovery_p2p.xml", 0, 2, "the driver asks for: Drain P2P", "turn persistence mode off"),
        ("k_uvm.log", 0, 2, "Xid 154 asks for: Node Reboot Required", "reboot the host: a reset is not enough"),
        ("k_sxid.log", 0, 2, "an NVSwitch reports fatal errors since boot: 0000:c1:00.0 (SXid 20034)", "fabricmanager"),
        ("perm.txt", 4, 2, "Insufficient Permissions", "add the user to their group (video, render)"),
        ("unknown.txt", 255, 2, "Unknown Error", "out of reach of this process"),
        ("nolib.txt", 12, 2, "libnvidia-ml.so", "install the driver's libraries whole"),
        ("small_neighbour.xml", 0, 1, "2040 MiB held by pid", "enough is left for vLLM to start"),
    ],
)  # fmt: skip
def test_what_drivers_said(host: Host, name: str, code: int, state: int, words: str, remedy: str) -> None:
    log = name.endswith(".log")
    text = "h100x2" if log else case(name).replace("20829", str(os.getpid()))
    done = host(text, NCCL, log=case(name) if log else "", code=code)
    assert (done.returncode, words in done.stdout, remedy in done.stdout) == (state, True, True), done.stdout
    assert name != "recovery_p2p.xml" or "nvidia-smi -r" not in done.stdout
    assert not name.endswith(".txt") or "modprobe" not in done.stdout


def test_a_gpu_without_memory_of_its_own(
    host: Host, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = make_gpt_oss(model)
    done = host(case("gb10_idle.xml"), "--tensor-parallel-size", "1", "--model-directory", str(directory))
    assert done.returncode != 3 and "GPU 0 NVIDIA GB10 (shares the host's memory)" in done.stdout, done.stdout
    assert "nvidia-smi -q -d MEMORY" not in done.stdout and "Xorg" not in done.stdout
    total = int(re.findall(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())[0]) // 1024 / 1024
    assert f"0.9 x {total:.2f} GiB" in done.stdout
    # One that has enough: 119.7 GiB, of which programs can get 112.
    (tmp_path / "meminfo").write_text(
        "MemTotal: 125517824 kB\nMemFree: 2097152 kB\nMemAvailable: 117440512 kB\n"
    )
    monkeypatch.setattr(processes, "PROC", tmp_path)
    monkeypatch.setattr(nvidia_smi, "document", lambda timeout: (case("gb10_idle.xml"), []))
    found, _ = inventory.look(1.0)
    [gpu] = found.gpus
    assert (gpu.shared, gpu.usable, gpu.free) == (True, 122576, 114688)
    assert holders.judge([gpu], lambda pid: False, 0.9) == []
    [fault] = holders.judge([gpu], lambda pid: False, 0.95)
    assert (
        "by other programs of the host, whose memory it shares" in fault.reason and "kill" not in fault.remedy
    )


def test_a_neighbour_with_little_memory_stops_no_start(
    island: Island, port: tuple[str, str], tmp_path: Path
) -> None:
    pid = island.start(sys.executable, "-c", LISTEN, "0")
    (tmp_path / "document").write_text(case("small_neighbour.xml").replace("20829", str(pid)))
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "nvidia-smi", f"cat {tmp_path}/document")
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    done = island.guard(*port, "--format", "json", PATH=path)
    assert done.returncode == 0 and f"2040 MiB held by pid {pid}" in done.stdout, done.stdout
    assert '"waited": 0.' in done.stdout  # no patience for what stops no start
    full = case("small_neighbour.xml").replace("79104 MiB", "9104 MiB").replace("20829", str(pid))
    (tmp_path / "document").write_text(full)
    assert island.guard(*port, "--patience", "0.1", PATH=path).returncode == 2


def complaint(text: str, code: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Fault]:
    """Return what is read and said of a run of nvidia-smi."""
    monkeypatch.setattr(nvidia_smi, "_run", lambda *_: nvidia_smi.command.Output(code, text))
    try:
        whole, [fault] = nvidia_smi.document(1.0)
    except CheckError as error:
        return "", error.fault
    return whole, fault


@pytest.mark.parametrize("place", ["before", "behind", "between"])
@pytest.mark.parametrize(
    ("words", "code", "state", "remedy"),
    [
        (INFOROM, 14, State.WARNING, nvidia_smi.INFOROM),
        (INFOROM, 0, State.WARNING, nvidia_smi.INFOROM),
        ("Unable to determine the device handle for GPU1: 0000:43:00.0: Unknown Error", 15, State.CRITICAL, nvidia_smi.BUS),
        ("Unable to determine the device handle for GPU1: 0000:43:00.0: GPU is lost.", 0, State.CRITICAL, nvidia_smi.BUS),
        ("WARNING: something that nobody knows", 0, State.WARNING, nvidia_smi.KERNEL_LOG),
        ("ERROR: a GPU's external power cables are not properly attached", 8, State.CRITICAL, nvidia_smi.POWER),
    ],
)  # fmt: skip
def test_a_complaint_beside_a_whole_document(
    monkeypatch: pytest.MonkeyPatch, place: str, words: str, code: int, state: State, remedy: str
) -> None:
    lines = document("h100x2").splitlines()
    lines.insert({"before": 0, "between": 30, "behind": len(lines)}[place], words)
    whole, fault = complaint("\n".join(lines), code, monkeypatch)
    assert len(inventory.parse(whole).gpus) == 2
    assert (fault.state, fault.remedy, words[:40] in fault.reason) == (state, remedy, True)


@pytest.mark.parametrize("code", [2, 3, 4, 6, 8, 9, 10, 12, 13, 14, 15, 255])
def test_each_exit_code_of_the_manual_has_its_remedy(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _, fault = complaint("", code, monkeypatch)
    assert (fault.state, fault.remedy) == (State.CRITICAL, nvidia_smi.CODES[code])
    whole, beside = complaint(document("h100x2"), code, monkeypatch)
    assert whole and beside.remedy == nvidia_smi.CODES[code]
    assert beside.state is (State.WARNING if code in (2, 3, 6, 13, 14) else State.CRITICAL)
    assert f"ended with {code}" in beside.reason


# nvmlErrorString's words, and nvidia-smi's own.
@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", nvidia_smi.MODULE),
        ("Failed to initialize NVML: RM has detected an NVML/RM version mismatch.", nvidia_smi.MODULE),
        ("Failed to initialize NVML: Insufficient Permissions", nvidia_smi.PERMISSION),
        ("Failed to initialize NVML: Insufficient External Power", nvidia_smi.POWER),
        ("Failed to initialize NVML: Driver Not Loaded", nvidia_smi.LOAD),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", nvidia_smi.LOAD),
        ("Failed to initialize NVML: NVML Shared Library Not Found", nvidia_smi.LIBRARY),
        ("Failed to initialize NVML: GPU access blocked by the operating system", nvidia_smi.REACH),
        ("Failed to initialize NVML: Unknown Error", nvidia_smi.REACH),
        ("Failed to initialize NVML: GPU is lost", nvidia_smi.BUS),
        ("Failed to initialize NVML: GPU requires reset", nvidia_smi.RESET),
        ("Failed to initialize NVML: Interrupt Request Issue", nvidia_smi.INTERRUPT),
        ("Failed to initialize NVML: Function Not Found", nvidia_smi.PARTS),
        ("Failed to initialize NVML: Corrupted infoROM", nvidia_smi.INFOROM),
        ("Failed to initialize NVML: Not Supported", nvidia_smi.KIND),
        ("Failed to initialize NVML: Timeout", nvidia_smi.HANGS),
        ("No devices were found", nvidia_smi.NO_GPU),
        ("nvidia-smi: error while loading shared libraries: libc.so.6: no such file", nvidia_smi.PARTS),
    ],
)
def test_each_failure_of_nvml_has_its_remedy(
    monkeypatch: pytest.MonkeyPatch, words: str, remedy: str
) -> None:
    for code in (1, 255, 0):
        _, fault = complaint(words, code, monkeypatch)
        assert (fault.state, fault.remedy) == (State.CRITICAL, remedy)


def test_a_document_that_breaks_off_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fault = complaint(document("h100x2")[:900], 15, monkeypatch)
    assert fault.remedy == nvidia_smi.BUS
    _, fault = complaint("", 0, monkeypatch)
    assert fault.reason.startswith("nvidia-smi -q -x gave no XML")


def link(now: str, most: str, gen: int = 5, state: str = "P0") -> str:
    width = f"<max_link_width>{most}</max_link_width><current_link_width>{now}</current_link_width>"
    gens = f"<max_link_gen>5</max_link_gen><current_link_gen>{gen}</current_link_gen>"
    info = f"<pcie_gen>{gens}</pcie_gen><link_widths>{width}</link_widths>"
    return f"<pci><pci_gpu_link_info>{info}</pci_gpu_link_info></pci><performance_state>{state}</performance_state>"


def clocks(name: str, value: str = "Active", old: str = "event") -> str:
    field = f"clocks_{old}_reason_{name}"
    return f"<clocks_{old}_reasons><{field}>{value}</{field}></clocks_{old}_reasons>"


def fabric(health: str) -> str:
    return f"<fabric><state>Completed</state><status>Success</status><health>{health}</health></fabric>"


def told(inside: str) -> list[Fault]:
    """Return what the fields of a GPU tell, with `inside` in the place of the elements of the same name."""
    text = document("h100x1")
    for tag in re.findall(r"<(\w+)", inside)[:1]:
        text = re.sub(rf"(?s)<{tag}>.*?</{tag}>", "", text)
    return list(inventory.parse(text.replace("<processes>", f"{inside}<processes>", 1)).gpus[0].faults)


@pytest.mark.parametrize(
    ("inside", "state", "words", "remedy"),
    [
        ("<fabric><state>Completed</state><status>Unknown Failure</status></fabric>", 2, "answered it with", "fabricm"),
        (fabric("<summary>Limited Capacity</summary>"), 1, "is Limited Capacity", "fabricmanager"),
        (fabric("<summary>Unhealthy</summary>"), 2, "is Unhealthy", "fabricmanager"),
        (fabric("<incorrect_configuration>No Partition</incorrect_configuration>"), 2, "wrongly: No Partition", "fabric"),
        (fabric("<access_timeout_recovery>True</access_timeout_recovery>"), 1, "recovers from a timeout", "fabricm"),
        (fabric("<partition_assigned>False</partition_assigned>"), 1, "it is in no partition", "fabricmanager"),
        ("<compute_mode>Prohibited</compute_mode>", 2, "its compute mode is Prohibited", "-i 0 -c DEFAULT"),
        ("<compute_mode>Exclusive_Process</compute_mode>", 1, "its compute mode is Exclusive", "-c DEFAULT"),
        ("<ecc_errors><unrepairable_memory>Yes</unrepairable_memory></ecc_errors>", 2, "cannot be repaired", "replaced"),
        ("<ecc_errors><tpc_repair_pending>Yes</tpc_repair_pending></ecc_errors>", 1, "waits for a reset", "-i 0 -r"),
        ("<remapped_rows><remapped_row_failure>Yes</remapped_row_failure></remapped_rows>", 2, "remap a row", "replaced"),
        (
            "<gpu_reset_status><drain_and_reset_recommended>Yes</drain_and_reset_recommended></gpu_reset_status>",
            *(1, "a reset is recommended", "start nothing new there"),
        ),
        (clocks("hw_power_brake_slowdown"), 1, "its power is braked", "power supplies"),
        (clocks("hw_thermal_slowdown", old="throttle"), 1, "it is too hot", "TEMPERATURE"),
        (clocks("hw_slowdown"), 1, "halved by the hardware", "TEMPERATURE"),
        (link("8x", "16x"), 1, "its PCIe link has width 8 of 16", "seated anew"),
        (link("16x", "16x", 3), 1, "its PCIe link has generation 3 of 5", "seated anew"),
        ("<mig_mode><current_mig>Disabled</current_mig><pending_mig>Enabled</pending_mig></mig_mode>", 1, "MIG", "reset"),
        ("<new_thing><link_state>Degraded</link_state></new_thing>", 1, "new_thing.link_state=Degraded", "-q -i 0"),
        ("<fan_speed>[Unknown Error]</fan_speed>", 1, "fan_speed=[Unknown Error]", "nvidia-smi -q -i 0"),
        ("<power_draw>ERR!</power_draw>", 1, "power_draw=ERR!", "nvidia-smi -q -i 0"),
        ("<inforom_version><img_version>Unknown Error</img_version></inforom_version>", 1, "img_version", "-q -i 0"),
        ("<bank_repair_failed>Yes</bank_repair_failed>", 1, "bank_repair_failed=Yes", "nvidia-smi -q -i 0"),
        ("<fb_state>GPU requires reset</fb_state>", 2, "GPU requires reset", "sudo nvidia-smi -i 0 -r"),
        ("<temperature><gpu_temp>GPU is lost</gpu_temp></temperature>", 2, "GPU is lost", "fell off the bus"),
    ],
)  # fmt: skip
def test_each_field_that_tells_of_a_gpu_that_is_not_well(
    inside: str, state: int, words: str, remedy: str
) -> None:
    [fault] = told(inside)
    assert (fault.state, words in fault.reason, remedy in fault.remedy) == (State(state), True, True), fault


@pytest.mark.parametrize(
    "inside",
    [
        link("16x", "16x"),
        link("16x", "16x", 1, "P8"),  # saves power
        clocks("hw_slowdown", "Not Active"),
        clocks("sw_power_cap"),
        clocks("gpu_idle"),
        "<compute_mode>Default</compute_mode>",
        fabric(
            "<summary>Healthy</summary><bandwidth>Full</bandwidth><route_unhealthy>False</route_unhealthy>"
            "<incorrect_configuration>None</incorrect_configuration>"
        ),
        "<fabric><state>N/A</state><status>N/A</status><health><bandwidth>N/A</bandwidth></health></fabric>",
        "<vgpu_software_licensed_product><license_status>Licensed (Expiry: 2027-1-1 0:0:0 GMT)</license_status>"
        "</vgpu_software_licensed_product>",
        "<gpu_virtualization_mode><virtualization_mode>Pass-Through</virtualization_mode></gpu_virtualization_mode>"
        "<vgpu_software_licensed_product><license_status>Unlicensed</license_status></vgpu_software_licensed_product>",
        "<serial>[Insufficient Permissions]</serial><power_state>Requested functionality has been deprecated</power_state>",
        "<ecc_errors><channel_repair_pending>No</channel_repair_pending></ecc_errors><display_attached>Yes</display_attached>",
    ],
)
def test_what_is_well_is_not_told(inside: str) -> None:
    assert told(inside) == []


@pytest.mark.parametrize("action", ["Reset", "Reboot", "Drain P2P", "Drain and Reset"])
def test_the_remedy_is_the_action_that_the_driver_names(action: str) -> None:
    [fault] = told(f"<gpu_recovery_action>{action}</gpu_recovery_action>")
    assert (fault.reason, fault.remedy) == (f"the driver asks for: {action}", ACTIONS[action].filled(index=0))
    [other] = told("<gpu_recovery_action>Replace Fan</gpu_recovery_action>")
    assert "do what the driver names" in other.remedy and "nvidia-smi -r" not in other.remedy


def logged(*lines: str, wanted: int = 2) -> list[Fault]:
    return xid.judge("\n".join(lines), inventory.parse(document("h100x2")).gpus, wanted)


ONE = "NVRM: Xid (PCI:0000:1b:00): "
ASKS = f"{ONE}154, GPU recovery action changed from 0x0 (None) to "


@pytest.mark.parametrize(
    ("lines", "words", "remedy"),
    [
        ([f"{ONE}79, pid=1, name=a, GPU has fallen off the bus."], "Xid 79: fell off the bus", "off and on"),
        ([f"{ONE}48, An uncorrectable double bit error"], "Xid 48: uncorrectable memory error", "-i 0 -r), else reboot"),
        ([f"{ONE}48, a", f"{ONE}63, b"], "Xid 48", "start nothing new there"),
        ([f"{ONE}64, Row remapper failure"], "Xid 64: row remapping failed", "have the card replaced"),
        ([f"{ONE}74, NVLink: fatal error"], "Xid 74: NVLink", "nvidia-smi nvlink -s"),
        ([f"{ONE}149, NETIR_LINK_EVT Fatal"], "Xid 149", "nvidia-smi nvlink -s"),
        ([f"{ONE}119, Timeout waiting for RPC from GSP0!"], "Xid 119: GSP timeout", "update the driver"),
        ([f"{ONE}62, a", f"{ASKS}0x1 (GPU Reset Required)"], "asks for: GPU Reset Required", "-i 0 -r), else reboot"),
        ([f"{ONE}95, a", f"{ASKS}0x2 (Node Reboot Required)"], "asks for: Node Reboot", "a reset is not enough"),
        ([f"{ASKS}0x3 (Drain P2P)"], "asks for: Drain P2P", "turn persistence mode off"),
        ([f"{ASKS}0x4 (Drain and Reset)"], "asks for: Drain and Reset", "start nothing new there"),
        ([f"{ASKS}0x9 (Warm The Room)"], "asks for: Warm The Room", "do what the driver names"),
        (["NVRM: Xid (0000:1b:00): 79, GPU has fallen off the bus."], "Xid 79", "off and on"),
        (["NVRM: GPU 0000:1b:00.0: RmInitAdapter failed! (0x62:0xffff:2477)"], "RmInitAdapter", "could not start the GPU"),
        (["NVRM: GPU 0000:1b:00.0: GPU does not have the necessary power cables connected."], "power", "power cables"),
        (["NVRM: GPU 0000:1b:00.0: GPU has fallen off the bus."], "fallen off the bus", "off and on"),
        (["NVRM: installed in this system requires use of the NVIDIA open kernel modules."], "open kernel", "open kernel"),
        (["NVRM: some new thing has met a fatal error, requires a reboot"], "some new thing", "reboot the host"),
        (["nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 24007, Fatal, Link 12 sourcetrack"], "fatal errors", "fabricman"),
    ],
)  # fmt: skip
def test_what_the_kernels_log_asks_for(lines: list[str], words: str, remedy: str) -> None:
    [fault] = logged(*lines)
    assert (fault.state, words in fault.reason, remedy in fault.remedy) == (State.CRITICAL, True, True), fault
    assert "Drain P2P" not in words or "-r)" not in fault.remedy


def test_what_the_kernels_log_only_warns_of() -> None:
    lost = ["NVRM: GPU 0000:99:00.0: GPU has fallen off the bus."]  # nvidia-smi does not describe it any more
    over = [f"{ONE}62, a", f"{ASKS}0x1 (GPU Reset Required)", f"{ASKS}0x0 (None)"]
    switch = ["nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 21 egress non-posted"]
    client = [
        "NVRM: API mismatch: the client has the version 580.1, but this kernel module has the version 570.2."
    ]
    for lines in (lost, over, switch, client):
        assert [fault.state for fault in logged(*lines)] == [State.WARNING], lines
    fatal = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"
    assert [fault.state for fault in logged(fatal, wanted=1)] == [State.WARNING]
    again = logged(f"{ASKS}0x0 (None)", f"{ONE}79, GPU has fallen off the bus.")
    assert [fault.state for fault in again] == [State.CRITICAL]


def test_what_is_no_matter_in_the_kernels_log() -> None:
    lines = (
        *(f"{ONE}{code}, a" for code in xid.HARMLESS),
        "NVRM: Xid (PCI:0000:99:00): 79, GPU has fallen off the bus.",
        "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05",
        "nvidia 0000:1b:00.0: PCIe Bus Error: severity=Uncorrected (Non-Fatal), type=Transaction Layer",
        "EXT4-fs (sda1): a fatal error",
    )
    assert logged(*lines) == []


@pytest.mark.parametrize(
    ("cuda", "states"),
    [
        *(("Not Found", [State.CRITICAL]), ("ERR!", [State.CRITICAL]), ("Unknown Error", [State.CRITICAL])),
        *(("13.0", []), ("N/A", [])),
    ],
)
def test_a_driver_without_its_cuda_library(cuda: str, states: list[State]) -> None:
    found = inventory.parse(document("h100x2").replace("<cuda_version>13.0", f"<cuda_version>{cuda}"))
    assert [fault.state for fault in gpu_hardware.driver(found, (13, 0))] == states


def test_a_gpu_that_is_counted_and_not_described() -> None:
    found = inventory.parse(document("h100x1").replace("<attached_gpus>1", "<attached_gpus>2"))
    assert [
        "counts 2 GPUs and describes 1" in fault.reason for fault in gpu_hardware.driver(found, (13, 0))
    ] == [True]


def test_a_gpu_that_does_not_say_how_much_memory_it_has(host: Host, model: Path) -> None:
    text = document("h100x1").replace("81559 MiB", "N/A").replace("81152 MiB", "N/A")
    done = host(text, "--tensor-parallel-size", "1", "--model-directory", str(make_gpt_oss(model)))
    assert done.returncode == 3 and "does not say how much memory it has" in done.stdout
    assert "-d MEMORY" not in done.stdout and RESET.filled(index=0) not in done.stdout

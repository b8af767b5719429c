"""What fields of `nvidia-smi -q -x` tell of a GPU that is not well: the value that is, what any other means, and what to do.

Names and values as in nvidia-smi's manual (nvsmi_device_v12.dtd and v13).
"""

from typing import NamedTuple

from python_checks.core.say import Said, say

INDEX, VALUE = "{index}", "{value}"  # filled in with the GPU's
RESET = say(
    "stop what uses it and reset it (sudo nvidia-smi -i {index} -r), else reboot; if it comes back, "
    "replace the card",
    index=INDEX,
)
REPLACE = say("its memory cannot be repaired any more: have the card replaced")
DRAIN_P2P = say(
    "stop all that uses several GPUs together and turn persistence mode off (sudo nvidia-smi -pm "
    "0), then ask nvidia-smi -q again: it names what to do next"
)
DRAIN = say(
    "let what runs on it end and start nothing new there, then reset it (sudo nvidia-smi -i {index} -r)",
    index=INDEX,
)
REBOOT = say("reboot the host: a reset is not enough; if it comes back, replace the card")
# What the driver asks for, in this document and by Xid 154 in the kernel's log.
ACTIONS = {
    "Reset": RESET,
    "GPU Reset Required": RESET,
    "Reboot": REBOOT,
    "Node Reboot Required": REBOOT,
    "Drain P2P": DRAIN_P2P,
    "Drain and Reset": DRAIN,
}
MANAGER = say(
    "see /var/log/fabricmanager.log; with the GPUs at rest: sudo systemctl restart "
    "nvidia-fabricmanager, then reset them all (sudo nvidia-smi -r); a link that stays bad is a "
    "matter of its hardware"
)
LICENSE = say(
    "give the virtual GPU its licence: /etc/nvidia/gridd.conf and its token, then systemctl restart "
    "nvidia-gridd"
)
UNLICENSED = say("its licence is {value}: CUDA is throttled, then refused", value=VALUE)
COOLING = say("see its temperature (nvidia-smi -q -d TEMPERATURE), fans and the air of the room")
SUPPLY = say("see the host's power supplies and their limits")
NOW = say("reset it now (sudo nvidia-smi -r), so that what is judged stays so")
MODE = say("sudo nvidia-smi -i {index} -c DEFAULT", index=INDEX)
PCIE = say("have the card and its riser seated anew; it may only save power: look again while vLLM works")


class Row(NamedTuple):
    """A field: its path, the values that are well, what any other means, what to do, and the values that are critical."""

    path: str
    well: str
    words: Said
    remedy: Said
    critical: str = "."


NEVER = "(?!)"
ROWS = (
    Row("remapped_rows/remapped_row_failure", "No", say("it could not remap a row of its memory"), REPLACE),
    Row("remapped_rows/remapped_row_pending", "No", say("a row of its memory waits to be remapped"), RESET),
    Row("ecc_errors/aggregate/sram_threshold_exceeded", "No", say("its SRAM had too many errors"), REPLACE),
    Row("ecc_errors/unrepairable_memory", "No", say("it has memory that cannot be repaired"), REPLACE),
    Row("ecc_errors/channel_repair_pending", "No", say("the repair of a memory channel waits for a reset"), DRAIN, NEVER),
    Row("ecc_errors/tpc_repair_pending", "No", say("the repair of a processing cluster waits for a reset"), DRAIN, NEVER),
    Row("gpu_reset_status/reset_required", "No", say("it has to be reset"), RESET),
    Row("gpu_reset_status/drain_and_reset_recommended", "No", say("a reset is recommended"), DRAIN, NEVER),
    Row("fabric/status", "Success|NVML_SUCCESS", say("the Fabric Manager answered it with {value}", value=VALUE), MANAGER),
    Row("fabric/health/summary", "Healthy", say("its NVLink fabric is {value}", value=VALUE), MANAGER, "Unhealthy"),
    Row("fabric/health/bandwidth", "Full", say("the bandwidth of its NVLink fabric is {value}", value=VALUE), MANAGER, NEVER),
    Row("fabric/health/route_unhealthy", "False", say("a route of its NVLink fabric is lost"), MANAGER),
    Row("fabric/health/route_recovery_in_progress", "False", say("a route of its NVLink fabric is being restored"), MANAGER, NEVER),
    Row("fabric/health/access_timeout_recovery", "False", say("its NVLink fabric recovers from a timeout"), MANAGER, NEVER),
    Row("fabric/health/incorrect_configuration", NEVER, say("its NVLink fabric is configured wrongly: {value}", value=VALUE), MANAGER),
    Row("fabric/health/partition_assigned", "True", say("it is in no partition of the NVLink fabric"), MANAGER, NEVER),
    *(
        Row(f"{product}_licensed_product/license_status", r"Licensed\b.*", UNLICENSED, LICENSE, r".*\(Restricted")
        for product in ("vgpu_software", "grid")
    ),
    Row("compute_mode", "Default", say("its compute mode is {value}", value=VALUE), MODE, "Prohibited"),
    *(
        Row(f"clocks_{old}_reasons/clocks_{old}_reason_{name}", "Not Active", words, remedy, NEVER)
        for old in ("event", "throttle")
        for name, words, remedy in (
            ("hw_thermal_slowdown", say("its clocks are halved: it is too hot"), COOLING),
            ("sw_thermal_slowdown", say("its clocks are lowered: it is too hot"), COOLING),
            ("hw_power_brake_slowdown", say("its clocks are halved: its power is braked"), SUPPLY),
            ("hw_slowdown", say("its clocks are halved by the hardware"), say("{cooling}; {supply}", cooling=COOLING, supply=SUPPLY)),
        )
    ),
)  # fmt: skip

"""The forms of lines that tell of an end: Python's, the kernel's and the shell's, and those of other programs."""

import re

CHAINED = re.compile(r"^(?:The above exception was the direct cause|During handling of the above exception)")
TRACEBACK = re.compile(r"^Traceback \(most recent call last\)")
EXCEPTION = re.compile(
    r"^(?:[A-Za-z_][\w.]*\.)?(?:[A-Z]\w*(?:Error|Exit|Interrupt|TimeoutExpired|Error_\w+)|[A-Z]?\w*Exception)(?:: .*|:)?$"
    r"|^(?:[a-z_]\w*\.)+[A-Z]\w*: .*$"
)
# What Python calls an exception only when the heading of a traceback stands above it.
LAST = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::(?: .*)?)?$")
# Said of an exception that came over the end of something else.
IGNORED = re.compile(
    r"^(?:Exception ignored|Error in atexit|Error in sys\.|\w+ exception was never retrieved)"
)
CLEANING = re.compile(
    r"resource_tracker\.py|, in (?:__del__|_exitfunc|_run_exitfuncs|__exit_?_?finalizer|_run_finalizers)\b"
)
CRASHES = re.compile(
    r"^(?:Fatal Python error: |terminate called after throwing |Segmentation fault|Bus error|Illegal instruction"
    r"|Floating point exception|Aborted|Killed|free\(\): |malloc\(\): |double free|corrupted |munmap_chunk|\*\*\* stack smashing"
    r"|!+ Segfault encountered|\*\*\* SIG[A-Z]+ |\*\*\* Aborted at|Failed: (?i:cuda)|(?i:cuda) error:? \S*:\d+ )"
    r"|^Signal: |\[\S+:\d+\] Signal: |: line \d+: +\d+ (?:Killed|Segmentation|Aborted|Bus error|Illegal)"
    r"|: Assertion [`'].*failed|Check failed: "
)
# Of the shell, the loader or an argument parser; what keeps a program from starting at all.
PLAIN = re.compile(
    r"^supervisor: couldn't "
    r"|^(?:\w+ )?(?:[\w./+-]+: )+(?:error: |line \d+: |\d+: |error while loading shared libraries: |symbol lookup error: "
    r"|.*(?:No such file|not found|Permission denied|cannot execute|bad interpreter|Exec format error))"
)
SEVERAL = re.compile(r"validation errors? for \w+$")  # pydantic's

COMPILE, NCCL, DEVICE, DIED, CRASH = "compile", "nccl", "device", "died", "crash"
# What other programs say of themselves; it explains an exception of the same family.
REASONS = (
    (
        COMPILE,
        re.compile(
            r"^\S.*?:\d+(?::\d+)?: (?:fatal )?error\b[ :]|^\S+\(\d+\): (?:catastrophic |fatal )?error\b[ :]"
            r"|^(?:\S*/)?(?:nvcc|ptxas|nvlink|cicc|fatbinary|clang|cc1plus|cc1|g\+\+|gcc|cc|c\+\+|cmake|\S*-linux-gnu-g(?:cc|\+\+))\s*"
            r"(?:info +)?(?:: )?(?:fatal error|fatal|error|internal compiler error)\s*:"
            r"|^(?:\S*/)?(?:ld|collect2|ld\.\w+): (?:error|cannot|fatal|\S+: )|^cc1plus: |^ninja: (?:error|fatal):"
            r"|\b(?:nvcc|ninja|cc1plus|gcc|g\+\+|ptxas|ld|as|cicc): (?:command )?not found|^error: |^\S+: undefined reference to"
            r"|^#error|^c\+\+: |unsupported GNU version"
        ),
    ),
    (NCCL, re.compile(r"NCCL (?:WARN|ERROR) ")),
    (
        DEVICE,
        re.compile(
            r"CUDA initialization: |[Cc]an't initialize NVML|Failed to initialize NVML|NVML: |Failed to get device capability"
        ),
    ),
    (
        DIED,
        re.compile(
            r"died unexpectedly|died with exit code|exit ?code: -?\d+\)|Failed \w+ proc\(s\): \{[^}]*: -\d+"
        ),
    ),
    (CRASH, re.compile(r"^\s+what\(\):|^\s+File \"\S+\", line \d+,? in \w+|^#\d+ +0x|^frame #0")),
)
CALM = re.compile(
    r"(?i)shut|terminat|exit|clos|stopp|clean|destroy|releas|dump|finished"
)  # said at an end, not at work
# Beyond these lines the message of an exception does not go on.
END = re.compile(
    r"^(?:Process \w|INFO|nanobind: |usage: | - leaked|/\S+:\d+: \w*Warning|\[rank|NCCL version|.*: \w*Warning: )"
)

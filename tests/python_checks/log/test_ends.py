"""Starts that ended, as their log tells it: the doctor, the status and the deploy's `wait` name one cause and one remedy.

The files of ends/ are after reports of real people; paths and ids are made up. What stands here besides is of the same kinds.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from python_checks.core.result import CheckError, Result
from python_checks.log import causes
from python_checks.report import formats
from python_checks.service import last_words, remedies
from python_checks.service.last_words import LastWords
from python_checks.steps import wait
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.end_logs import (
    BEGIN,
    CHAINED,
    CORE,
    DURING,
    END,
    SERVER,
    TRACEBACK,
    died,
    log,
    raised,
)
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import Probe

ENDS = Path(__file__).parents[1] / "ends"
OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which 1.00 GiB "
    "is free. Including non-PyTorch memory, this process has 78.20 GiB memory in use."
)
# File: words of the cause, words of the remedy. Whoever has one of these has the kind.
CASES = {
    "nvcc": (
        "Could not find nvcc",
        ("CUDA_HOME", "VLLM_USE_FLASHINFER_SAMPLER=0", "vllm_environment", "toolkit"),
    ),
    "ninja_missing": ("'ninja'", ("ninja is not found", "PATH of the service")),
    "ninja_build": (
        "nvcc fatal : Unknown option",
        ("does not belong to the CUDA of the lock", "CUDA_HOME", "PATH"),
    ),
    "nccl_shm": ("No space left on device", ("/dev/shm", "df -h /dev/shm")),
    "cuda802": ("Error 802", ("Fabric Manager", "NVLSM", "version of the driver", "gpu check")),
    "cuda804": ("Error 804", ("cuda-compat", "LD_LIBRARY_PATH", "update the driver")),
    "python_h_raw": ("Python.h: No such file or directory", ("headers of that Python",)),
    "no_cc": ("Failed to find C compiler", ("gcc and g++", "PATH of the service")),
    "ptx": ("unsupported toolchain", ("driver is older", "update the driver")),
    "no_kernel_image": ("no kernel image", ("compute capability", "another GPU", "a build for it")),
    "ready_timeout": (
        "Timed out waiting",
        ("VLLM_ENGINE_READY_TIMEOUT_S", "vllm_environment", "vllm_start_seconds", "disk"),
    ),
    "sink": ("sink setting not supported", ("--attention-backend", "VLLM_ATTENTION_BACKEND", "gpt-oss")),
    "profiling": ("Error in memory profiling", ("start again", "nvidia-smi", "another process freed")),
    "bf16": ("Bfloat16 is only supported", ("older than Ampere", "gpt-oss does not run", "gpu check")),
    "cpu_memory": (
        "less than desired CPU memory",
        ("host's memory", "free some", "--gpu-memory-utilization"),
    ),
    "libcuda": (
        "libcuda.so.1",
        ("libcuda1", "libnvidia-compute", "driver's version", "no virtual environment brings it"),
    ),
    "rank_echo_gloo": ("torch.OutOfMemoryError", ("--gpu-memory-utilization 0.87",)),
    "cancelled": ("exit code: -9", ("journalctl -k", "memory")),
    "custom_ar": ("custom_all_reduce.cuh:455 'invalid argument'", ("--disable-custom-all-reduce",)),
    "del_echo": ("larger than the available KV cache memory", ("--max-model-len 26608",)),
    "no_blocks": (
        "No available memory for the cache blocks",
        ("--max-model-len 65536", "--gpu-memory-utilization 0.95"),
    ),
    "kv_small": (
        "larger than the available KV cache memory",
        ("--max-model-len 26608", "--gpu-memory-utilization 0.95"),
    ),
    "oom_other": ("torch.OutOfMemoryError", ("71234", "61.30 GiB", "no flag helps")),
    "died-11": ("exit code: -11", ("segmentation fault", "dmesg", "driver", "NCCL")),
    "double_prefix": ("Error 802", ("Fabric Manager",)),
    "ansi": (
        "Free memory on device cuda:0 (10.38/79.25 GiB)",
        ("another process holds the GPU", "nvidia-smi"),
    ),
}


def read(name: str) -> list[str]:
    return (ENDS / f"{name}.log").read_text(encoding="utf-8").splitlines()


def judged(lines: Sequence[str]) -> LastWords:
    return last_words.judge(list(lines), lines[-1])


@pytest.mark.parametrize("name", CASES)
def test_the_doctor_names_cause_and_remedy(name: str) -> None:
    words, advice = CASES[name]
    found = judged(read(name))
    finding = one(signs("systemd_failed", logs={"vllm": found, "backend": LastWords()}))
    assert words in finding.cause
    assert [part for part in advice if part not in finding.remedy] == []
    assert finding.remedy.endswith("; then: systemctl reset-failed vllm; systemctl start vllm")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]|\[\d+m", finding.cause + finding.evidence)


@pytest.mark.parametrize("name", CASES)
def test_wait_gives_the_same_remedy(name: str, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    path = tmp_path / "vllm.log"
    path.write_text("\n".join(read(name)).replace("pid=2001", f"pid={child.pid}") + "\n", encoding="utf-8")
    parser = argparse.ArgumentParser()
    wait.add_arguments(parser)
    options = [
        "--url",
        "http://127.0.0.1:9",
        "--model",
        "gpt-oss-120b",
        "--pid",
        str(child.pid),
        "--log",
        str(path),
    ]
    with pytest.raises(CheckError) as raised:
        wait.run(parser.parse_args(options))
    words, advice = CASES[name]
    assert words in raised.value.fault.reason
    assert [part for part in advice if part not in raised.value.fault.remedy] == []
    assert raised.value.fault.remedy == f"{judged(read(name)).remedy}; log: {path}"


def test_wait_as_a_process_whose_server_ends_meanwhile(probe: Probe, tmp_path: Path) -> None:
    """The log was there before, with times of another day: nothing else was written."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"]) as child:
        path = tmp_path / "vllm.log"
        path.write_text("\n".join(read("kv_small")).replace("pid=2001", f"pid={child.pid}") + "\n")
        done = probe(
            "wait", "--url", "http://127.0.0.1:9", "--model", "m", "--pid", str(child.pid), "--log", str(path)
        )
    assert done.returncode == 2
    assert (
        "available KV cache memory (1.2 GiB)" in done.stdout
        and "remedy: --max-model-len 26608, or " in done.stdout
    )


# The first of one end is the cause: lines, words of the cause, and what came of it.
FIRST = {
    "by its time, not by its line": (
        log(
            raised(
                "RuntimeError: NCCL error: remote process exited or there was a network error",
                rank=1,
                time="03:12:10",
            ),
            raised("ValueError: the weights are odd", time="03:12:07"),
        ),
        "ValueError: the weights are odd",
        "remote process exited",
    ),
    "of two workers": (
        log(
            raised("RuntimeError: CUDA error: an illegal memory access was encountered"),
            raised("KeyError: 4711", rank=1, time="03:12:09"),
        ),
        "an illegal memory access",
        "KeyError: 4711",
    ),
    "in December, not in January": (
        [line.replace("11-20", "12-31") for line in log(raised("ValueError: first"))]
        + [line.replace("11-20", "01-01") for line in raised("KeyError: 'second'", rank=1)],
        "ValueError: first",
        "KeyError: 'second'",
    ),
    "the killed worker, not the lost connection": (
        log(
            died(-9, 1),
            raised(
                "RuntimeError: [/pytorch/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234",
                time="03:12:11",
            ),
        ),
        "exit code: -9",
        "Connection closed by peer",
    ),
    "not what the resource tracker says": (
        [
            *log(raised("OSError: [Errno 28] No space left on device: '/var/cache/vllm/x'")),
            "/usr/lib/python3.12/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: 4 leaked semaphores",
            "  warnings.warn('resource_tracker: There appear to be %d '",
            TRACEBACK,
            '  File "/usr/lib/python3.12/multiprocessing/resource_tracker.py", line 264, in main',
            "    cache[rtype].remove(name)",
            "KeyError: '/psm_97f3c2ab'",
        ],
        "No space left on device",
        "",
    ),
    "not what is said in __del__ without a heading": (
        [
            *log(raised(OOM)),
            TRACEBACK,
            '  File "/x/llm.py", line 9, in __del__',
            "AttributeError: 'LLM' object has no attribute 'engine'",
        ],
        "OutOfMemoryError",
        "",
    ),
    "of a chain the first": (
        log(
            raised(
                "ValueError: not a power of two",
                "",
                CHAINED,
                "",
                TRACEBACK,
                '  File "/x.py", line 1, in y',
                "RuntimeError: no plan",
            )
        ),
        "ValueError: not a power of two",
        "RuntimeError: no plan",
    ),
    "not what came over the handling": (
        log(
            raised(
                OOM,
                "",
                DURING,
                "",
                TRACEBACK,
                '  File "/x.py", line 1, in shutdown',
                "AttributeError: 'NoneType' object has no attribute 'x'",
            )
        ),
        "OutOfMemoryError",
        "AttributeError",
    ),
    "of a chain the one that says more": (
        [
            BEGIN[0],
            f"{SERVER}{TRACEBACK}",
            f'{SERVER}  File "/opt/vllm/venv/lib/python3.12/site-packages/transformers/x.py", line 1271, in from_pretrained',
            f"{SERVER}KeyError: 'gpt_oss_next'",
            SERVER,
            f"{SERVER}{DURING}",
            SERVER,
            f"{SERVER}{TRACEBACK}",
            f'{SERVER}  File "/opt/vllm/venv/bin/vllm", line 8, in <module>',
            f"{SERVER}ValueError: The checkpoint has model type `gpt_oss_next` but Transformers does not recognize this architecture.",
        ],
        "does not recognize this architecture",
        "",
    ),
    "not what the process survived": (
        log(
            "(Worker_TP0 pid=2201) ERROR 11-20 03:11:50 [cuda.py:823] NVLink detection failed. This is normal without NVLink.",
            f"(Worker_TP0 pid=2201) ERROR 11-20 03:11:50 [cuda.py:823] {TRACEBACK}",
            '(Worker_TP0 pid=2201) ERROR 11-20 03:11:50 [cuda.py:823]   File "/x/pynvml.py", line 1, in f',
            "(Worker_TP0 pid=2201) ERROR 11-20 03:11:50 [cuda.py:823] pynvml.NVMLError_NotSupported: Not Supported",
            "(Worker_TP0 pid=2201) INFO 11-20 03:11:52 [gpu_model_runner.py:5040] Starting to load model /srv/model...",
            raised("RuntimeError: shape '[64]' is invalid"),
        ),
        "shape '[64]' is invalid",
        "",
    ),
    "not a request that failed hours before": (
        [
            *BEGIN,
            "ERROR:    Exception in ASGI application",
            TRACEBACK,
            '  File "/opt/vllm/venv/lib/python3.12/site-packages/starlette/applications.py", line 1, in __call__',
            "TypeError: 'NoneType' object is not iterable",
            'INFO:     127.0.0.1:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
            f"(APIServer pid=2001) ERROR 11-20 03:20:00 [serving_chat.py:100] {TRACEBACK}",
            "(APIServer pid=2001) ERROR 11-20 03:20:00 [serving_chat.py:100] jinja2.exceptions.TemplateError: bad",
            "(APIServer pid=2001) INFO 11-20 03:20:10 [loggers.py:335] Engine 000: Avg prompt throughput: 22.8 tokens/s",
            "(EngineCore pid=2101) ERROR 11-20 04:00:00 [core.py:1512] EngineCore encountered a fatal error.",
            f"(EngineCore pid=2101) ERROR 11-20 04:00:00 [core.py:1512] {TRACEBACK}",
            '(EngineCore pid=2101) ERROR 11-20 04:00:00 [core.py:1512]   File "/x/core.py", line 1, in run',
            "(EngineCore pid=2101) ERROR 11-20 04:00:00 [core.py:1512] torch.AcceleratorError: CUDA error: unspecified launch failure",
            "(APIServer pid=2001) ERROR 11-20 04:00:00 [async_llm.py:906] vllm.v1.engine.exceptions.EngineDeadError: an issue.",
        ],
        "unspecified launch failure",
        "",
    ),
    "of the last start, though no guard stands between": (
        [
            *log(raised("RuntimeError: CUDA error: invalid device ordinal")),
            TRACEBACK,
            '  File "/opt/vllm/venv/bin/vllm", line 5, in <module>',
            "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        ],
        "libcuda.so.1",
        "",
    ),
}


@pytest.mark.parametrize("kind", FIRST)
def test_the_first_of_one_end_is_its_cause(kind: str) -> None:
    lines, words, followed = FIRST[kind]
    found = causes.find(lines)
    assert words in found.words
    assert followed in found.followed and bool(followed) == bool(found.followed)


def test_what_came_of_it_is_kept_as_evidence() -> None:
    found = judged(read("cancelled"))
    finding = one(signs("systemd_failed", logs={"vllm": found, "backend": LastWords()}))
    assert "; what came of it: RuntimeError: cancelled" in finding.evidence


# The line is found, and there is something to say about it: exception, words of the remedy.
KNOWN = (
    (
        "Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver / cuda driver combination",
        "reboot the host",
    ),
    ("CUDA unknown error - this may be due to an incorrectly set up environment", "nvidia_uvm"),
    ("CUDA error: unknown error", "nvidia_uvm"),
    (
        "Unexpected error from cudaGetDeviceCount(). Error 304: OS call failed or operation not supported on this OS",
        "nvidia-modprobe",
    ),
    ("CUDA driver error: 46", "compute mode"),
    ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", "nvidia-smi -c DEFAULT"),
    ("CUDA error: invalid device ordinal", "vllm_cuda_visible_devices"),
    ("CUDA error: peer access is not supported between these two devices", "NCCL_P2P_DISABLE=1"),
    ("CUDA error: uncorrectable ECC error encountered", "have the card looked at"),
    ("CUDA error: unspecified launch failure", "xid"),
    ("CUDA driver error: CUDA_ERROR_NOT_PERMITTED", "container"),
    ("The NVIDIA driver on your system is too old (found version 12020).", "update the driver"),
    ("Found no NVIDIA driver on your system.", "not installed or not loaded"),
    ("NVMLError_LibRmVersionMismatch: RM has detected an NVML/RM version mismatch.", "reboot the host"),
    (
        "libcudart.so.13: cannot open shared object file: No such file or directory",
        "CUDA packages of the environment",
    ),
    ("libnuma.so.1: cannot open shared object file: No such file or directory", "libnuma1"),
    ("libfrob.so.3: cannot open shared object file: No such file or directory", "apt-file"),
    (
        "libpython3.12.so.1.0: cannot open shared object file: No such file or directory",
        "apt-get install -y libpython3.12",
    ),
    (
        "/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /x/_C.abi3.so)",
        "needs GLIBCXX_3.4.32",
    ),
    ("/x/_C.abi3.so: undefined symbol: _ZN3c104cuda29c10", "do not fit each other"),
    ("numpy.core.multiarray failed to import", "numpy is of another version"),
    (
        "The quantization method mxfp4 is not supported for the current GPU. Minimum capability: 80. Current capability: 75.",
        "older than Ampere",
    ),
    ("FlashAttention only supports Ampere GPUs or newer.", "older than Ampere"),
    ("No MXFP4 MoE backend supports the deployment configuration.", "--moe-backend"),
    (
        "No valid attention backend found for cuda. Reasons: {FLASH_ATTN: [sink not supported]}.",
        "--attention-backend",
    ),
    ("out of resource: shared memory, Required: 139264, Hardware limit: 101376", "than this GPU has"),
    ("CUDA_HOME environment variable is not set. Please set it to your CUDA install root.", "CUDA_HOME"),
    ("Ninja is required to load C++ extensions (pip install ninja to get it)", "ninja is not found"),
    ("ninja: error: loading 'build.ninja': No such file or directory", "delete the caches"),
    ("[Errno 2] No such file or directory: 'gcc'", "gcc and g++"),
    ("SM 12.x requires CUDA >= 12.9", "nvcc that was found"),
    ("can't start new thread", "TasksMax"),
    ("vLLM CPU backend requires AVX512", "lscpu"),
    ("[Errno 24] Too many open files: '/srv/model/model-00003-of-00014.safetensors'", "LimitNOFILE"),
    ("[Errno 28] No space left on device: '/dev/shm/psm_1a2b'", "df -h /dev/shm"),
    ("[Errno 122] Disk quota exceeded", "quota"),
    ("[Errno 5] Input/output error", "smartctl"),
    ("[Errno 12] Cannot allocate memory", "host has no memory left"),
    ("[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied", "vllm_port"),
    (
        "[Errno 99] error while attempting to bind on address ('10.9.9.9', 8000): cannot assign requested address",
        "vllm_host",
    ),
    ("You are trying to access a gated repo.", "HF_TOKEN"),
    ("We couldn't connect to 'https://huggingface.co' to load the files", "HF_HUB_OFFLINE=1"),
    (
        "/srv/model is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
        "vllm_model",
    ),
    (
        "The repository contains custom code. Please pass the argument `trust_remote_code=True`.",
        "--trust-remote-code",
    ),
    (
        "Can't load tokenizer for '/srv/model'. If you were trying to load it from 'https://huggingface.co/models', x",
        "tokenizer.json",
    ),
    ("It looks like the config file at '/srv/model/config.json' is not a valid JSON file.", "model-files"),
    ("Error while deserializing header: HeaderTooLarge", "git-lfs"),
    ("size mismatch for lm_head.weight", "not those of this config.json"),
    (
        "Total number of attention heads (64) must be divisible by tensor parallel size (3).",
        "vllm_tensor_parallel_size",
    ),
    ("Cannot re-initialize CUDA in forked subprocess.", "VLLM_WORKER_MULTIPROC_METHOD=spawn"),
    ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`", "cuBLAS"),
    (
        "The client socket has timed out after 600000ms while trying to connect to (10.0.0.1, 43123).",
        "VLLM_HOST_IP",
    ),
    (
        "The server socket has failed to listen on any local network address. port: 29500, name: EADDRINUSE",
        "holds the port",
    ),
    ("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=10)", "collective operation"),
    ("NCCL error: invalid usage (run with NCCL_DEBUG=WARN for details)", "NCCL_DEBUG=WARN"),
    ("RPC call to execute_model timed out.", "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"),
)


@pytest.mark.parametrize(("words", "advice"), KNOWN)
def test_a_line_that_is_found_has_its_remedy(words: str, advice: str) -> None:
    found = judged(log(raised(f"RuntimeError: {words}")))
    assert words[:60] in found.cause
    assert advice in found.remedy


# What stands beside the exception: lines, the reason, words of the remedy.
BESIDE = {
    "below, of g++ in a directory with a blank": (
        log(
            raised(
                "torch._inductor.exc.InductorError: CppCompileError: C++ compile error",
                "",
                "Command:",
                "g++ /home/tester/my checkout/.demo/tmp/x/header.hpp -o /home/tester/my checkout/.demo/tmp/x/header.hpp.gch",
                "",
                "Output:",
                "cc1plus: fatal error: input file '/home/tester/my' is the same as output file",
                "compilation terminated.",
            )
        ),
        "is the same as output file",
        "without blanks",
    ),
    "below, of ninja": (
        log(
            raised(
                "RuntimeError: Ninja build failed. Ninja output:",
                "[1/3] nvcc x",
                "/usr/local/cuda/crt/host_config.h:143:2: error: #error -- unsupported GNU version! gcc versions later than 13 are not",
                "ninja: build stopped: subcommand failed.",
            )
        ),
        "unsupported GNU version",
        "NVCC_CCBIN",
    ),
    "below, in the second link of a chain": (
        log(
            raised(
                "subprocess.CalledProcessError: Command '['ninja', '-v', '-C', '/home/vllm/.cache']' returned non-zero exit status 1.",
                *("", CHAINED, "", TRACEBACK, '  File "/x/flashinfer/jit/core.py", line 1, in build'),
                "RuntimeError: Ninja build failed. Ninja output:",
                "FAILED: x.cuda.o",
                "/bin/sh: 1: /usr/bin/nvcc: not found",
            )
        ),
        "nvcc: not found",
        "CUDA_HOME",
    ),
    "below, of g++": (
        log(
            raised(
                "torch._inductor.exc.InductorError: CppCompileError: C++ compile error",
                *("", "Command:", "g++ /tmp/x.cpp -o x.so", "", "Output:"),
                "/tmp/x.cpp:2:10: fatal error: Python.h: No such file or directory",
            )
        ),
        "Python.h: No such file",
        "headers of that Python",
    ),
    "above, of a compiler that the kernel killed": (
        log(
            "x86_64-linux-gnu-gcc: fatal error: Killed signal terminated program cc1plus",
            "compilation terminated.",
            raised("torch._inductor.exc.InductorError: CppCompileError: C++ compile error"),
        ),
        "Killed signal terminated program cc1plus",
        "MAX_JOBS=2",
    ),
    "above, of the linker": (
        log(
            "/usr/bin/ld: cannot find -lcuda: No such file or directory",
            "collect2: error: ld returned 1 exit status",
            raised(
                "subprocess.CalledProcessError: Command '['/usr/bin/gcc', '/tmp/x/main.c', '-lcuda']' returned non-zero exit status 1."
            ),
        ),
        "cannot find -lcuda",
        "libcuda1",
    ),
    "above, of gcc, in another worker's words": (
        log(
            "/tmp/tmpz/cuda_utils.c:1:10: fatal error: cuda.h: No such file or directory",
            raised(
                "subprocess.CalledProcessError: Command '['/usr/bin/gcc', '/tmp/tmpz/cuda_utils.c']' returned non-zero exit status 1."
            ),
        ),
        "cuda.h: No such file",
        "CUDA toolkit",
    ),
    "of NCCL, about a socket": (
        log(
            "host:2201:2250 [0] NCCL INFO Bootstrap : Using eth0",
            "host:2201:2250 [0] misc/socket.cc:484 NCCL WARN socketStartConnect: Connect to 10.1.2.3<43210> failed : No route to host",
            raised("RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)"),
        ),
        "No route to host",
        "NCCL_SOCKET_IFNAME",
    ),
    "of NCCL, about multicast": (
        log(
            "(Worker_TP1 pid=2202) host:2202:2202 [1] transport/nvls.cc:243 NCCL WARN Cuda failure 801 'operation not supported'",
            raised(
                "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled cuda error",
                rank=1,
            ),
        ),
        "transport/nvls.cc:243",
        "NCCL_NVLS_ENABLE=0",
    ),
    "of torch, a warning about the driver": (
        [
            "/opt/vllm/venv/lib/python3.12/site-packages/torch/cuda/__init__.py:184: UserWarning: CUDA initialization: Unexpected error "
            "from cudaGetDeviceCount(). Error 803: system has unsupported display driver (Triggered internally at x.cpp:119.)",
            "  return torch._C._cuda_getDeviceCount() > 0",
            TRACEBACK,
            '  File "/opt/vllm/venv/bin/vllm", line 8, in <module>',
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`.",
        ],
        "Error 803",
        "reboot the host",
    ),
    "of the kernel, with the place": (
        log(
            "Fatal Python error: Segmentation fault",
            "",
            "Current thread 0x00007f12 (most recent call first):",
            '  File "/opt/vllm/vllm/pynccl_wrapper.py", line 400 in ncclCommInitRank',
            died(-11, 1),
        ),
        "line 400 in ncclCommInitRank",
        "segmentation fault",
    ),
    "of C++, what it threw": (
        log(
            "terminate called after throwing an instance of 'c10::DistBackendError'",
            "  what():  [PG ID 0 Rank 1] Process group watchdog thread terminated with exception: CUDA error: an illegal memory access",
            died(-6, 1),
        ),
        "an illegal memory access",
        "xid",
    ),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_the_reason_that_stands_beside_the_exception(kind: str) -> None:
    lines, words, advice = BESIDE[kind]
    found = judged(lines)
    assert words in found.cause and len(found.cause) <= 300
    assert advice in found.remedy


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (-9, "oom"),
        (-11, "segmentation fault"),
        (-6, "SIGABRT"),
        (-4, "AVX512"),
        (-7, "/dev/shm"),
        (137, "oom"),
        (1, "process of the engine"),
    ],
)
def test_an_exit_code_says_how_a_process_died(code: int, advice: str) -> None:
    found = judged(log(died(code), f"{CORE}RuntimeError: cancelled"))
    assert f"(exit code: {code})" in found.cause and advice in found.remedy


def test_the_engine_itself_was_killed() -> None:
    found = judged(
        [
            *BEGIN,
            f"{SERVER}RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{'EngineCore': -9}}",
        ]
    )
    assert "oom" in found.remedy
    asked = judged([*BEGIN, died(-15), *raised("KeyError: 'x'"), *END])
    assert asked.cause == "KeyError: 'x'"


MEMORY = {
    "two others hold it": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB. GPU 1 has a total capacity of 79.25 GiB of which "
        "200.00 MiB is free. Process 411 has 20.00 GiB memory in use. Process 412 has 512.00 MiB memory in use. Including x",
        "another process holds 20.50 GiB of the GPU (pid 411, pid 412): no flag helps, have it ended: kill 411 412; see nvidia-smi",
    ),
    "a process of another container has no size": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which "
        "200.00 MiB is free. Process 411 has 17179869184.00 GiB memory in use. Including x",
        "--gpu-memory-utilization 0.88, or --max-model-len 65536",
    ),
    "a display holds a little": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which "
        "1.00 GiB is free. Process 900 has 90.00 MiB memory in use. Including x",
        "--gpu-memory-utilization 0.86, or --max-model-len 65536",
    ),
    "half of the GPU is another's": (
        "ValueError: Free memory on device cuda:1 (38.00/79.25 GiB) on startup is less than desired GPU memory utilization (0.9).",
        "another process holds the GPU: end it (nvidia-smi)",
    ),
    "not even one token": (
        "ValueError: Cannot auto-fit max_model_len: not enough GPU memory available to serve even a single token.",
        "--max-model-len 65536, or --gpu-memory-utilization 0.95",
    ),
    "the sampler's warm-up": (
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests. Please try lowering `max_num_seqs` or "
        "`gpu_memory_utilization` when initializing the engine.",
        "lower --max-num-seqs (vllm_extra_args) or --gpu-memory-utilization (0.80)",
    ),
    "the host's for the cache": (
        "ValueError: Available memory on node 1 (3.0/31.0 GiB) on kv cache allocation is less than requested memory for kv (4.0 GiB).",
        "the host's memory does not hold the KV cache: lower VLLM_CPU_KVCACHE_SPACE (vllm_environment) or --gpu-memory-utilization, "
        "or free memory",
    ),
}


@pytest.mark.parametrize("kind", MEMORY)
def test_memory_has_opposite_remedies(kind: str) -> None:
    words, advice = MEMORY[kind]
    assert judged(log(raised(words))).remedy == advice


def test_no_room_for_the_weights() -> None:
    found = judged(
        log(
            raised(
                '  File "/x/vllm/model_executor/layers/fused_moe/layer.py", line 1, in create_weights', OOM
            )
        )
    )
    assert (
        found.remedy.startswith("the weights do not fit") and "--gpu-memory-utilization 0.87" in found.remedy
    )


SINK = log(
    raised(
        "ValueError: Selected backend AttentionBackendEnum.FLASHINFER is not valid. Reason: ['sink setting not supported']"
    )
)
BARE = [re.sub(r"^\(\S+ pid=\d+\) ", "", line) for line in SINK]
FORMS = {
    "a name with a blank": [
        line.replace("Worker_TP0", "Worker TP0").replace("EngineCore pid", "Engine Core 0 pid")
        for line in SINK
    ],
    "three names": [
        line.replace("(Worker_TP0", "(APIServer pid=2001) (EngineCore_DP0 pid=2101) (Worker_TP0")
        for line in SINK
    ],
    "names without a blank between": [
        line.replace("(Worker_TP0", "(EngineCore_DP0 pid=2101)(Worker_TP0") for line in SINK
    ],
    "Ray's names": [
        line.replace("(Worker_TP0 pid=2201)", "(RayWorkerWrapper pid=2201, ip=10.0.0.2)") for line in SINK
    ],
    "no name": BARE,
    "older vLLM's place": [re.sub(r" \[(\S+:\d+)\]", r" \1]", line) for line in BARE],
    "docker compose": [f"vllm-1  | {line}" for line in SINK],
    "the journal": [f"Nov 20 03:12:08 ml35 vllm[2001]: {line}" for line in SINK],
    "Kubernetes": [f"2026-11-20T03:12:08.123456789Z stderr F {line}" for line in SINK],
    "colours": [
        re.sub(r"(\(\S+ pid=\d+\))( ERROR)?", "\x1b[0;36m\\1\x1b[0;0m\x1b[31m\\2\x1b[0m", line)
        for line in SINK
    ],
    "colours whose escape was lost": [re.sub(r"(\(\S+ pid=\d+\))", r"[0;36m\1[0;0m", line) for line in SINK],
    "colours in other words": [re.sub(r"(\(\S+ pid=\d+\))", r"^[[0;36m\1^[[0;0m", line) for line in SINK],
    "torch's rank": [f"[rank0]: {line}" for line in BARE[2:-7]],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_line_is_read_in_each_of_its_forms(form: str) -> None:
    plain, found = judged(SINK), judged(FORMS[form])
    assert (found.cause, found.remedy) == (plain.cause, plain.remedy)
    assert "--attention-backend" in found.remedy


def test_a_log_of_json_objects() -> None:
    lines = [
        '{"time": "2026-11-20T03:12:08Z", "level": "INFO", "message": "started"}',
        '{"asctime": "2026-11-20 03:12:09", "levelname": "ERROR", "processName": "EngineCore", "message": "EngineCore failed to start.", '
        '"exc_info": "Traceback (most recent call last):\\n  File \\"x\\", line 1, in f\\nOSError: [Errno 98] Address already in use"}',
    ]
    assert judged(lines).cause == "OSError: [Errno 98] Address already in use"
    assert causes.cause(['{"message": ', "{}", "[1]"]) == ""


def test_a_line_of_another_day_is_told_by_the_guard() -> None:
    old = log(raised("ValueError: old"))
    assert causes.cause(
        [*old, "guard OK: nothing is in the way of a start | time=0.03s", *SINK]
    ) == causes.cause(SINK)


def test_an_unknown_cause_sends_to_the_log() -> None:
    found = judged(log(raised("RuntimeError: the frobnicator is out of tune")))
    assert (found.cause, found.remedy) == ("RuntimeError: the frobnicator is out of tune", remedies.OTHER)


@pytest.mark.parametrize("shape", formats.FORMATS)
def test_no_control_character_of_a_log_reaches_a_terminal(shape: str, hosted: Hosted, tmp_path: Path) -> None:
    """An engine's log and a manager's words hold what makes a terminal set its title, move and hide text."""
    evil = "\x1b]0;evil\x07\x1b[2J\x9b31m‮x"
    path = tmp_path / "vllm.log"
    path.write_text(
        "\n".join(log(raised(f"ValueError: {evil} odd"))) + f"\n{evil} the end\n", encoding="utf-8"
    )
    service = {
        "state": "failed",
        "log": str(path),
        "told": [evil],
        "words": f"failed{evil}",
        "detail": evil,
        "command": [evil, "serve"],
    }
    service |= {"start": f"START{evil}", "ended": f"exit code 3{evil}", "current": f"1{evil}"}
    services = {"vllm": service, "backend": service | {"log": ""}}
    for check in ("doctor", "status"):
        done = hosted.recorded(services, check, "--format", shape, PYTHONIOENCODING="utf-8")
        assert "START" in done.stdout or check == "status"
        assert [char for char in done.stdout + done.stderr if not char.isprintable() and char != "\n"] == []


def test_no_control_character_of_a_log_is_in_what_wait_prints(probe: Probe, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    path = tmp_path / "vllm.log"
    lines = log(raised("ValueError: \x1b]0;evil\x07odd\x9b31m"))
    path.write_text("\n".join(lines).replace("pid=2001", f"pid={child.pid}"), encoding="utf-8")
    done = probe(
        "wait",
        "--url",
        "http://127.0.0.1:9",
        "--model",
        "m",
        "--pid",
        str(child.pid),
        "--log",
        str(path),
        PYTHONIOENCODING="utf-8",
    )
    assert "ValueError: odd" in done.stdout
    assert [char for char in done.stdout + done.stderr if not char.isprintable() and char != "\n"] == []


def test_the_numbers_of_a_host_reach_both_ways() -> None:
    """What a command asked for is where the remedy starts from, in the doctor and in `wait`."""
    found = signs("systemd_failed", logs={"vllm": judged(read("kv_small")), "backend": LastWords()})
    vllm = replace(
        found.services["vllm"], command=["vllm", "serve", "/m", "--gpu-memory-utilization", "0.80"]
    )
    finding = one(replace(found, services={**found.services, "vllm": vllm}))
    assert finding.remedy.startswith("--max-model-len 26608, or --gpu-memory-utilization 0.85; then")


def test_results_keep_to_one_line() -> None:
    assert Result("x", formats.State.OK, "a\x1b[1m\nb").reason == "a [1m b"

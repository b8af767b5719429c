"""Child of the guard's tests: has the title, the name and the memory that it is told, as setproctitle gives them to vLLM's.

    engine.py TITLE MIB [ending]

The title overwrites the words that the process was started with. `ending`: as the kernel shows one
whose memory is gone already.
"""

import ctypes
import os
import sys
import time

NAME = 15  # prctl(2): PR_SET_NAME

title, held = sys.argv[1].encode(), b"\1" * (int(sys.argv[2]) << 20)
with open("/proc/self/stat") as file:
    start, end = (int(field) for field in file.read().rpartition(")")[2].split()[45:47])  # proc(5): 48, 49
libc = ctypes.CDLL(None)
ctypes.memset(start, 0, end - start)
if sys.argv[3:] != ["ending"]:
    ctypes.memmove(start, title, len(title))
libc.prctl(NAME, title, 0, 0, 0)
print(os.getpid(), flush=True)
time.sleep(120)

# SPDX-License-Identifier: GPL-2.0
"""The rate of this processor's time stamp counter.

An emulated machine has the counter of the processor that it runs on, and its
kernel measures its rate by the emulated timers when it boots. If the emulator
has to wait for the processor meanwhile, that rate is wrong, and so is the clock
of the machine from then on: 689 instead of 2594 MHz was seen, a clock that is
3.8 times as fast as it should be, in which all that waits gives up too early.
"""

import ctypes
import functools
import mmap
import platform
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
READ = bytes.fromhex("0f31 48c1e220 4809d0 c3")

# As long as that between two looks: an error of one look, a µs, is nothing then.
SPAN_S = 0.05
LOOKS = 20


@functools.cache
def rate_khz() -> int | None:
    """None where it cannot be told; a machine's kernel measures for itself then."""
    if platform.machine() != "x86_64":
        return None
    try:
        code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    code.write(READ)
    first = ctypes.c_char.from_buffer(code)
    counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(first))
    begun, ticks = look(counter)
    time.sleep(SPAN_S)
    ended, more = look(counter)
    return round((more - ticks) * 1_000_000 / (ended - begun))


def look(counter) -> tuple[int, int]:
    """The time, ns, and the counter then: of several looks the one that took least."""
    looks = []
    for _ in range(LOOKS):
        before, ticks, after = time.monotonic_ns(), counter(), time.monotonic_ns()
        looks.append((after - before, (before + after) // 2, ticks))
    return min(looks)[1:]

# SPDX-License-Identifier: GPL-2.0
"""Where page cache lies in the machine's memory that no program maps, as a store's does.

    frames.py save FILE          takes down all of it
    frames.py new FILE COUNT     addresses of COUNT pages that have come since, spread over all of them
    frames.py in FILE FROM SIZE  how many that have come since lie in SIZE bytes from address FROM
"""

import array
import sys

PAGE = 4096
# Bits of /proc/kpageflags: uptodate and in the kernel's lists; but neither mapped, nor of a program
# or a file in memory.
HAS, LACKS = 1 << 3 | 1 << 5, 1 << 11 | 1 << 12 | 1 << 14


def frames():
    with open("/proc/kpageflags", "rb", buffering=0) as table:
        flags = array.array("Q", b"".join(iter(lambda: table.read(1 << 16), b"")))
    return array.array("Q", (at for at, bits in enumerate(flags) if bits & (HAS | LACKS) == HAS))


def new(path):
    with open(path, "rb") as file:
        before = array.array("Q", file.read())
    return sorted(set(frames()).difference(before))


verb, path, *rest = sys.argv[1:]
if verb == "save":
    with open(path, "wb") as file:
        frames().tofile(file)
elif verb == "new":
    count = int(rest[0])
    known = new(path)
    for at in known[:: max(1, len(known) // count)][:count]:
        print(hex(at * PAGE))
else:
    start, size = (int(number, 0) // PAGE for number in rest)
    print(sum(start <= at < start + size for at in new(path)))

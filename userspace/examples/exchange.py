#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
"""Written from README.md and <linux/feed.h> alone: the bare system calls.

exchange.py give SEED TEXT...     appends the texts to a new feed, prints its name
exchange.py take NAME COUNT       prints the first entries. SEED and NAME are 64 hex digits.
CPython has no addresses of this family: bind and connect go through ctypes."""
import ctypes
import os
import socket
import struct
import sys

AF_FEED, SOL_FEED, SECRET_KEY, PUBLIC_KEY, BIND_NEW = 18, 300, 1, 3, 1
libc = ctypes.CDLL(None, use_errno=True)


def attach(call, name, flags):
    address = struct.pack("=HHIQ32s", AF_FEED, flags, 0, 0, name)
    if call(feed.fileno(), address, len(address)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


feed, key = socket.socket(AF_FEED, socket.SOCK_SEQPACKET), bytes.fromhex(sys.argv[2])
if sys.argv[1] == "give":
    feed.setsockopt(SOL_FEED, SECRET_KEY, key)
    name = feed.getsockopt(SOL_FEED, PUBLIC_KEY, 32)
    attach(libc.bind, name, BIND_NEW)
    for text in sys.argv[3:]:
        feed.send(text.encode())
    print(name.hex())
else:
    attach(libc.connect, key, 0)
    for seq in range(int(sys.argv[3])):
        print(f"{seq}: {feed.recv(4096).decode()}")

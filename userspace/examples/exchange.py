#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
"""Written from README.md and <linux/feed.h> alone: the bare system calls.

exchange.py give SEED TEXT...     appends the texts to a new feed, prints its name
exchange.py take NAME [COUNT]     prints the first entries: seq, hops, text
SEED and NAME are 64 hex digits. CPython has no addresses of this family: bind,
connect and recvmsg go through ctypes.
"""
import ctypes
import os
import socket
import struct
import sys

AF_FEED, SOL_FEED, SECRET_KEY, PUBLIC_KEY, BIND_NEW = 18, 300, 1, 3, 1
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def address(key, flags=0, seq=0):
    return struct.pack("=HHIQ32s", AF_FEED, flags, 0, seq, key), 48


feed, key = socket.socket(AF_FEED, socket.SOCK_SEQPACKET), bytes.fromhex(sys.argv[2])
if sys.argv[1] == "give":
    feed.setsockopt(SOL_FEED, SECRET_KEY, key)
    name = feed.getsockopt(SOL_FEED, PUBLIC_KEY, 32)
    call(libc.bind, feed.fileno(), *address(name, BIND_NEW))
    for text in sys.argv[3:]:
        feed.send(text.encode())
    print(name.hex())
else:
    call(libc.connect, feed.fileno(), *address(key))
    for _ in range(int(sys.argv[3]) if sys.argv[3:] else 3):
        text, control = ctypes.create_string_buffer(4096), ctypes.create_string_buffer(128)
        part = (ctypes.c_size_t * 2)(ctypes.addressof(text), 4096)
        msg = (ctypes.c_size_t * 7)(0, 0, ctypes.addressof(part), 1, ctypes.addressof(control), 128, 0)
        size = call(libc.recvmsg, feed.fileno(), msg, 0)
        seq, _, _, _, hops = struct.unpack_from("=QQQIH", control, 16)      # behind struct cmsghdr
        print(f"{seq} ({hops} hops): {text.raw[:size].decode()}")

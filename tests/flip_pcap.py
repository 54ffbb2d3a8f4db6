#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""flip_pcap.py FILE.pcap: would verify_pcap.py find one wrong bit? Flips some in an answer of each kind.

All but two bytes of an answer are covered: nobody vouches for `hops`, and one reason of a refusal is as
lawful as another.
"""
import collections
import contextlib
import io
import random
import struct
import sys
import tempfile

import verify_pcap as checker

FLIPS = 6


def places(recording):
    """(kind, frame number, offset in the file, length) of each answer."""
    at, number = 24, 0
    while at < len(recording):
        size, number = struct.unpack_from("<I", recording, at + 8)[0], number + 1
        message = at + 16 + 14 + 24
        end = message + struct.unpack_from("<H", recording, message - 22)[0]
        while message < end:
            code, _, length = struct.unpack_from("<BBH", recording, message)
            if code < 0x80:
                yield checker.WIRE[code][0], number, message, length
            message += length
        at += 16 + size


def found(recording, number):
    for table in (checker.facts, checker.heard, checker.lookups):
        table.clear()
    said = io.StringIO()
    with tempfile.NamedTemporaryFile() as file, contextlib.redirect_stdout(said):
        file.write(recording)
        file.flush()
        failed = checker.main(file.name)
    return failed and f"frame {number}: " in said.getvalue()


recording = open(sys.argv[1], "rb").read()
chance = random.Random(1)
by_kind = collections.defaultdict(list)
for kind, *place in places(recording):
    by_kind[kind].append(place)
missed = 0
for kind, answers in by_kind.items():
    for _ in range(FLIPS):
        number, start, length = chance.choice(answers)
        byte = chance.choice([byte for byte in range(length) if byte != 4])
        flipped = bytearray(recording)
        flipped[start + byte] ^= 1 << chance.randrange(8)
        if not found(flipped, number):
            print(f"frame {number}: byte {byte} of {kind} was flipped, and nothing said")
            missed += 1
    print(f"{kind}: {FLIPS} flips")
sys.exit(missed != 0)

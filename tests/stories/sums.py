# SPDX-License-Identifier: GPL-2.0
"""sums.py FILE.pcap: packets of GRE over IPv4 over Ethernet have sums, and all are right."""

import struct
import sys

from ktap import Results
from recording import records

ETHERNET, PROTOCOL, HAS_SUM = 14, 9, 0x8000


def total(data):
    """The Internet's checksum: all ones, where it is part of what it sums up."""
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    value = sum(words)
    while value >> 16:
        value = (value & 0xffff) + (value >> 16)
    return value


def tunnelled(data):
    """What an IPv4 packet carries, without what fills its frame up."""
    packet = data[ETHERNET:]
    length = struct.unpack(">H", packet[2:4])[0]
    assert packet[PROTOCOL] == 47
    return packet[(packet[0] & 15) * 4:length]


results = Results()
packets = [tunnelled(data) for data in records(sys.argv[1])]
summed = [p for p in packets if struct.unpack(">H", p[:2])[0] & HAS_SUM]
wrong = [number for number, p in enumerate(summed) if total(p) != 0xffff]
results.say(f"{len(packets)} packets")
results.case(len(packets) > 0 and len(summed) == len(packets), "every packet has a sum")
results.equal("every sum is right", wrong, [])
results.end()

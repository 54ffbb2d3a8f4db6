# SPDX-License-Identifier: GPL-2.0
"""What tcpdump has recorded."""

import struct


def records(file):
    """The frames of a recording, as far as they were kept."""
    with open(file, "rb") as pcap:
        header = pcap.read(24)
        order = "<" if header[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        while len(head := pcap.read(16)) == 16:
            yield pcap.read(struct.unpack(order + "IIII", head)[2])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""verify_pcap.py FILE.pcap: checks every answer in a recording of AF_FEED frames, from the first on.
Written from rust/core/PROTOCOL.md (§: its sections), with the PyPI packages blake3 and cryptography."""
import collections, functools, struct, sys, types
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOOKUP, ANSWER = "nonce:I token:Q life:I hop_limit:B _:B _:H id:32s ", "hops:B _:B count:H token:Q "
SIGNED = "hops:B _:B _:H token:Q version:B _:B bits:H epoch:I n:Q time:Q until:Q name:32s root:32s "
WINDOW, PART = ANSWER + "epoch:I _:I n:Q window:Q", ANSWER + "window:H _:H _:I"
WIRE = {        # §13: name, defined flags, fields behind the message header (_ is reserved), what answers it
    0x01: ("REFUSAL", 0, "reason:B _:B _:H token:Q"),
    0x02: ("HEAD", 1, SIGNED + "signature:64s"), 0x03: ("GRANT", 0, SIGNED + "key:32s signature:64s"),
    0x04: ("CONS", 0, ANSWER + "epoch:I _:I m:Q n:Q"), 0x05: ("PATH", 0, WINDOW), 0x06: ("PAGE", 0, WINDOW),
    0x07: ("ENTRY", 3, ANSWER + "epoch:I payload_len:I n:Q m:Q offset:Q time:Q len:I bits:H _:H hash:32s"),
    0x08: ("BLOB_PATH", 0, PART), 0x09: ("BLOB_PAGE", 0, PART),
    0x0a: ("BLOB_DATA", 0, "hops:B _:B _:H token:Q window:H _:H offset:I"),
    0x81: ("LOOKUP_HEAD", 0, LOOKUP + "since:I held:I min_n:Q m:Q max_age:Q _:Q", "HEAD", "GRANT", "CONS"),
    0x82: ("LOOKUP_RANGE", 1, LOOKUP + "held:I want:I old_n:Q window:Q have:I _:I", "ENTRY", "PATH", "PAGE"),
    0x83: ("LOOKUP_CONS", 0, LOOKUP + "epoch:I _:I m:Q n:Q", "CONS"),
    0x84: ("LOOKUP_BLOB", 1, LOOKUP + "hash:32s len:I window:H have:H want:I _:I",
           "BLOB_DATA", "BLOB_PATH", "BLOB_PAGE"),
    0x85: ("FOLLOW", 0, LOOKUP + "since:I grant_bytes:I m:Q _:Q _:Q", "HEAD", "GRANT", "CONS", "ENTRY"),
}       # m is the older length of two, which is the seq of the one ENTRY that a FOLLOW may bring
IV = bytes.fromhex("67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b")     # of BLAKE3
QUARTER = [[int(digit, 16) for digit in text] for text in "048c 159d 26ae 37bf 05af 16bc 278d 349e".split()]
ID, SAME = b"AF_FEED 1 id" + bytes(9), ("epoch", "n", "window", "m")      # §2; of lookup and answer alike
facts, heard, lookups = {}, {}, collections.defaultdict(list)   # proved; proves nothing yet; by asker, token

def messages(file):
    with open(file, "rb") as recording:
        recording.seek(24)
        for number, record in enumerate(iter(lambda: recording.read(16), b""), 1):
            frame = recording.read(int.from_bytes(record[8:12], "little"))
            data = frame[38:][:int.from_bytes(frame[16:18], "little")] or b"\xff"        # no type: fails
            while any(data):
                size = max(4, int.from_bytes(data[2:4], "little"))
                yield number, frame, data[:size]
                data = data[size:]

def parse(number, frame, raw):                                                                      # §12, §13
    ethertype, version, limited, size, zero, _, cookie = struct.unpack_from("<HBBHIQQ", frame, 12)
    assert (ethertype, version, limited & ~1, zero) == (0xb588, 1, 0, 0) and 38 + size <= len(frame), "header"
    kind, flags, spec, *answers = WIRE[raw[0]]
    labels, formats = zip(*(field.split(":") for field in f"code:B flags:B size:H {spec}".split()))
    record = struct.Struct("<" + "".join(formats))
    values = list(zip(labels, record.unpack_from(raw)))
    m = types.SimpleNamespace(number=number, frame=frame, raw=raw, kind=kind, answers=answers, **dict(values))
    m.dst, m.src, rest, split = frame[:6], frame[6:12], raw[record.size:], 32 * getattr(m, "count", 0)
    m.hashes, m.payload = [rest[j:j + 32] for j in range(0, split, 32)], rest[split:]
    whole = len(rest) == split + getattr(m, "payload_len", 0) or kind == "BLOB_DATA"
    assert whole and m.size == len(raw) and not m.flags & ~flags and (answers or cookie), "malformed"
    assert all(bool(value) == (name == "hops") for name, value in values if name in ("_", "hops")), "reserved"
    m.chosen = range(m.offset >> 10, m.offset + len(rest) + 1023 >> 10) if kind == "BLOB_DATA" else []
    if kind == "ENTRY":
        m.window, m.chosen = m.m >> 5, [m.m % 32]
    return m

def keyed(kind, message):                                                                           # §1
    return blake3(message, key=f"AF_FEED 1 {kind}".encode().ljust(32, b"\0")).digest()

@functools.lru_cache(maxsize=1 << 16)
def chain_value(data, counter, first, last, cv=IV):                          # §11, BLAKE3 paper, section 2
    for at in range(0, len(data), 64):
        block, flags = data[at:at + 64], first * (at == 0) + last * (at + 64 >= len(data))
        v = [*struct.unpack("<12I", cv + IV[:16]), counter, 0, len(block), flags]
        words = struct.unpack("<16I", block.ljust(64, b"\0"))
        for step, (a, b, c, d) in enumerate(7 * QUARTER):
            for word, r, s in (words[step % 8 * 2], 16, 12), (words[step % 8 * 2 + 1], 8, 7):
                v[a] = v[a] + v[b] + word & 0xffffffff
                v[d] = ((v[d] ^ v[a]) << 32 | v[d] ^ v[a]) >> r & 0xffffffff
                v[c] = v[c] + v[d] & 0xffffffff
                v[b] = ((v[b] ^ v[c]) << 32 | v[b] ^ v[c]) >> s & 0xffffffff
            words = [words[int(digit, 16)] for digit in "263a704d1bc59ef8"] if step % 8 == 7 else words
        cv = struct.pack("<8I", *(v[j] ^ v[j + 8] for j in range(8)))
    return cv

def learn(value, *place):
    assert facts.setdefault(place, value) == value, "proof-mismatch or fork"

def top(m, nodes, hashes, lo, hi):      # T(d[lo:hi]) from nodes and their siblings                 # §5, §6
    if (lo, hi) not in nodes:
        middle = lo + (1 << (hi - lo - 1).bit_length() - 1)
        for a, b in (lo, middle), (middle, hi):
            if not any(a <= start < b for start, _ in nodes):
                nodes[a, b] = facts[m.tree, a, b] if hashes is None else hashes.pop()
        both = top(m, nodes, hashes, lo, middle) + top(m, nodes, hashes, middle, hi)
        nodes[lo, hi] = chain_value(both, 0, 0, 4 + 8 * (hi - lo == m.n)) if m.blob else keyed("node", both)
    return nodes[lo, hi]

def prove(m, nodes, hashes, n):         # with hashes or, if these are None, with facts; learns all the nodes
    h = top(m, nodes, hashes, 0, n)
    assert (m.tree, "root", m.n) in facts and not hashes, "no verified head, or proof-length"
    learn(h if m.blob else keyed("root", struct.pack("<Q", n) + h), m.tree, "root", n)                  # §5
    for (a, b), h in nodes.items():
        learn(h, m.tree, a, b)

def check(m):                           # raises if m was not asked for, or what is known does not prove it
    if m.answers:
        return lookups[m.src, m.token].append(m)
    l = next((l for l in reversed(lookups[m.dst, m.token])                                        # §13.1, §17
              if m.kind in l.answers + ["REFUSAL"] and l.number < m.number and l.dst in (m.src, b"\3\0FEED")
              and all(getattr(m, label, value) == value for label, value in vars(l).items() if label in SAME)
              and all(getattr(l, "want", ~0) >> bit & 1 for bit in m.chosen)
              and (m.kind != "HEAD" or m.flags or (m.epoch, m.n) >= (l.since, getattr(l, "min_n", 0)))), None)
    assert l, "not asked for"
    m.blob, m.tree = l.kind == "LOOKUP_BLOB", (l.id, getattr(m, "epoch", 0))
    if m.blob:
        m.tree, m.n = (l.hash, l.len), max(1, -(-l.len // 1024))
        learn(l.hash, m.tree, "root", m.n)
    if m.kind in ("HEAD", "GRANT"):                                                             # §2, §8, §9
        assert blake3(ID, key=m.name).digest() == l.id, "wrong-name"
        assert m.version == 1 and m.bits < (256 if m.kind == "HEAD" else 1), "bad-head or bad-grant"
        key = facts[m.tree, "key"] if m.kind == "HEAD" and m.epoch else m.name
        message = f"AF_FEED 1 {m.kind.lower()}".encode().ljust(32, b"\0") + m.raw[16:-64]
        Ed25519PublicKey.from_public_bytes(key).verify(m.signature, message)
        learn(getattr(m, "key", key), m.tree, "key")
        learn(m.root if m.n else bytes(32), m.tree, "root", m.n)
    elif m.kind == "CONS":                                                                          # §6
        assert 0 < m.m < m.n, "out-of-range"
        nodes = {(m.m & m.m - 1, m.m): m.hashes[0]}
        prove(m, nodes, m.hashes[1:], m.n)
        prove(m, nodes, [], m.m)
    elif m.kind == "ENTRY":                                                                       # §4, §13.3
        assert m.m < m.n and m.len <= 1 << 24 and (m.flags & 1 or not m.count), "out-of-range"
        assert m.payload_len == (m.len if m.flags & 2 else 0) <= 1024, "payload length"
        assert not m.flags & 2 or blake3(m.payload).digest() == m.hash, "payload"
        prove(m, {(m.m, m.m + 1): keyed("leaf", m.raw[32:96])}, m.hashes if m.flags & 1 else None, m.n)
        for seq, offset in (0, 0), (m.m, m.offset), (m.m + 1, m.offset + m.len):
            learn(offset, m.tree, "offset", seq)
    elif m.kind in l.answers:           # for a window                                               # §6, §11
        lo, hi = 32 * m.window, min(32 * m.window + 32, m.n)
        nodes, path = {(j, j + 1): h for j, h in enumerate(m.hashes, lo)}, heard.get((m.tree, m.n, lo))
        assert m.kind[-4:] != "PAGE" or len(nodes) == hi - lo, "proof-length"
        if m.kind[-4:] == "PATH":
            path = heard[m.tree, m.n, lo] = m.hashes
            nodes = {(lo, hi): facts[m.tree, lo, hi]}
        elif m.kind == "BLOB_DATA":
            size, end, last = min(32768, l.len - 1024 * lo), m.offset + len(m.payload), 2 + 8 * (m.n == 1)
            assert not m.offset % 64 and m.offset < end <= size, "out-of-range"
            data = heard.setdefault((m.tree, lo), bytearray(size))
            data[m.offset:end] = m.payload
            chunks, path = (m.chosen, None) if (m.tree, lo, lo + 1) in facts else (range(hi - lo), path)
            nodes = {(lo + j, lo + j + 1): chain_value(bytes(data[1024 * j:1024 * (j + 1)]), lo + j, 1, last)
                     for j in chunks}
        prove(m, nodes, path and path[:], m.n)

def main(file):
    todo, left, counts = None, list(messages(file)), collections.Counter()
    while left != todo:                     # until nothing more follows from what was proved
        todo, left, failures = left, [], []
        for item in todo:
            try:
                m = parse(*item)
                check(m)
                counts[m.kind] += 1
            except Exception as error:      # whatever it is: this answer is not proved
                left.append(item)
                failures.append(f"frame {item[0]}: {WIRE.get(item[2][0], '?')[0]}: {error!r}")
    asked = sum(lookups.values(), [])
    ids, needed = {l.id for l in asked}, {"HEAD", "ENTRY", *(l.answers[0] for l in asked)}
    failures += [f"frame {l.number}: a name in clear" for l in asked
                 if any(blake3(ID, key=l.frame[j:j + 32]).digest() in ids for j in range(len(l.frame) - 31))]
    failures += [f"no {kind} was checked" for kind in sorted(needed - counts.keys())]
    print(*(f"{kind} {counts[kind]}" for kind in sorted(counts)), *failures, sep="\n")
    return bool(failures)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""verify_pcap.py FILE.pcap [--names HEX...]: checks every answer in a recording of AF_FEED frames.

Written from rust/core/PROTOCOL.md alone (§: its sections), with the PyPI packages blake3 and cryptography.
What cannot be checked counts as a failure, so a recording must begin before the first lookup."""
import collections, contextlib, functools, struct, sys, types
from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOOKUP = "nonce:I token:Q life:I hop_limit:B _:3s id:32s "
ANSWER = "hops:B _:B count:H token:Q "
SIGNED = "version:B name_kind:B bits:H epoch:I n:Q time:Q until:Q name:32s root:32s "
WIRE = {  # type: (name, defined flags, fields behind the message header (_: reserved), what answers it)   §13
    0x01: ("REFUSAL", 0, "reason:B _:3s token:Q", ""),
    0x02: ("HEAD", 1, ANSWER + SIGNED + "signature:64s", ""),
    0x03: ("GRANT", 0, ANSWER + SIGNED + "key:32s signature:64s", ""),
    0x04: ("CONS", 0, ANSWER + "epoch:I _:I m:Q n:Q", ""),
    0x05: ("PATH", 0, ANSWER + "epoch:I _:I n:Q window:Q", ""),
    0x06: ("PAGE", 0, ANSWER + "epoch:I _:I n:Q window:Q", ""),
    0x07: ("ENTRY", 3, ANSWER + "epoch:I payload_len:I n:Q m:Q offset:Q time:Q len:I bits:I hash:32s", ""),
    0x08: ("BLOB_PATH", 0, ANSWER + "window:H _:H _:I", ""),
    0x09: ("BLOB_PAGE", 0, ANSWER + "window:H _:H _:I", ""),
    0x0a: ("BLOB_DATA", 0, ANSWER + "window:H _:H offset:I", ""),
    0x81: ("LOOKUP_HEAD", 0, LOOKUP + "epoch:I held_epoch:I n:Q m:Q max_age:Q _:Q", "HEAD GRANT CONS"),
    0x82: ("LOOKUP_RANGE", 1, LOOKUP + "epoch:I want:I n:Q window:Q have:I _:I", "ENTRY PATH PAGE"),
    0x83: ("LOOKUP_CONS", 0, LOOKUP + "epoch:I _:I m:Q n:Q", "CONS"),
    0x84: ("LOOKUP_BLOB", 1, LOOKUP + "hash:32s len:I window:H have:H want:I _:I",
           "BLOB_DATA BLOB_PATH BLOB_PAGE"),
    0x85: ("FOLLOW", 0, LOOKUP + "epoch:I grant_bytes:I m:Q _:Q _:Q", "HEAD GRANT CONS ENTRY"),
}       # m: the length that the asker holds, and so the seq of the ENTRY that a FOLLOW may bring
IV = struct.unpack(">8I", bytes.fromhex("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"))
QUARTERS = "048c 159d 26ae 37bf 05af 16bc 278d 349e".split()        # of a BLAKE3 round: columns, diagonals
lookups, names, keys = collections.defaultdict(list), {}, {}        # by asker and token; by id; by tree
roots, known, starts = {}, {}, {}                           # what was proved: roots, nodes by place, offsets
paths, blocks = collections.defaultdict(set), collections.defaultdict(dict)     # what may prove a page

def fields(spec, data):
    labels, formats = zip(*(field.split(":") for field in spec.split()))
    record = struct.Struct("<" + "".join(formats))
    values = list(zip(labels, record.unpack_from(data)))
    assert all(value in (0, bytes(3)) for label, value in values if label == "_"), "reserved"
    return types.SimpleNamespace(**dict(values), rest=data[record.size:])

def messages(number, frame):                                                                        # §12
    at = 16 if frame[12:14] == b"\x81\x00" else 12              # a VLAN tag
    if frame[at:at + 2] != b"\x88\xb5":
        return
    header = fields("version:B flags:B len:H _:I echo:Q give:Q", frame[at + 2:])
    data = header.rest[:header.len]
    assert header.version == 1 and header.flags < 2 and len(data) == header.len, "frame header"
    while data and data[0]:
        code, flags, size = struct.unpack_from("<BBH", data)
        assert code in WIRE and 4 <= size <= len(data) and not flags & ~WIRE[code][1], "malformed"
        m, body, data = fields(WIRE[code][2], data[4:size]), data[4:size], data[size:]
        m.number, m.frame, m.dst, m.src, m.flags, m.body = number, frame, frame[:6], frame[6:12], flags, body
        m.kind, m.answers, m.chosen = WIRE[code][0], WIRE[code][3].split(), ()
        m.hashes = [m.rest[32 * j:32 * j + 32] for j in range(getattr(m, "count", 0))]
        m.payload = m.rest[32 * len(m.hashes):]
        whole, long = b"".join(m.hashes) + m.payload == m.rest, m.kind in ("ENTRY", "BLOB_DATA")
        assert whole and (long or not m.payload and size <= 1232), "malformed"
        assert m.answers or header.give and getattr(m, "hops", 1), "cookie or hops"
        if m.kind in ("HEAD", "GRANT"):
            m.id = blake3(b"AF_FEED 1 id" + bytes(9), key=m.name).digest()                          # §2
        if m.kind == "ENTRY":
            m.window, m.chosen = m.m >> 5, {m.m % 32}
        elif m.kind == "BLOB_DATA":
            m.pieces = {m.offset + at: m.payload[at:at + 64] for at in range(0, len(m.payload), 64)}
            m.chosen = {at // 1024 for at in m.pieces}
        yield m

def keyed(tag, message):                                                                            # §1
    return blake3(message, key=tag.encode().ljust(32, b"\0")).digest()

def compress(cv, block, counter, flags):                                        # BLAKE3 paper, section 2.2
    m, v = struct.unpack("<16I", block.ljust(64, b"\0")), [*cv, *IV[:4], counter, 0, len(block), flags]
    for step in range(7 * 8):
        a, b, c, d = (int(digit, 16) for digit in QUARTERS[step % 8])
        for word, r, s in (m[step % 8 * 2], 16, 12), (m[step % 8 * 2 + 1], 8, 7):
            v[a] = v[a] + v[b] + word & 0xffffffff
            v[d] = ((v[d] ^ v[a]) << 32 | v[d] ^ v[a]) >> r & 0xffffffff
            v[c] = v[c] + v[d] & 0xffffffff
            v[b] = ((v[b] ^ v[c]) << 32 | v[b] ^ v[c]) >> s & 0xffffffff
        m = [m[int(digit, 16)] for digit in "263a704d1bc59ef8"] if step % 8 == 7 else m
    return [v[j] ^ v[j + 8] for j in range(8)]

@functools.lru_cache(maxsize=1 << 16)
def chunk_value(data, counter, cv=IV):
    for at in range(0, len(data), 64):
        cv = compress(cv, data[at:at + 64], counter, (at == 0) + 2 * (at + 64 >= len(data)))
    return struct.pack("<8I", *cv)

def node(tree, left, right, topmost):                                                           # §5, §11
    return (keyed("AF_FEED 1 node", left + right) if tree[0] == "feed" else
            struct.pack("<8I", *compress(IV, left + right, 0, 4 + 8 * topmost)))

def root(tree, n, top):
    return keyed("AF_FEED 1 root", struct.pack("<Q", n) + top) if tree[0] == "feed" else top

def place(m, v, i):
    return m.tree, v, i, min(i + 1 << v, m.n)       # a full node is the same in all longer trees

def prove(m, v, i, h, hashes):                                                                      # §6
    """Proves h at (v, i) of m's tree, learns the proof's other nodes; gives the top of the left siblings."""
    nodes, old, hashes = {(v, i): h}, h, list(hashes)
    while i > 0 or 1 << v < m.n:
        if (i ^ 1) << v < m.n:
            assert hashes, "proof-length"
            s, topmost = hashes.pop(0), i < 2 and 2 << v >= m.n
            h = node(m.tree, s, h, topmost) if i & 1 else node(m.tree, h, s, topmost)
            nodes[v, i ^ 1], old = s, node(m.tree, s, old, False) if i & 1 else old
        v, i = v + 1, i >> 1
        nodes[v, i] = h
    assert not hashes, "proof-length"
    assert roots.get((m.tree, m.n)) == root(m.tree, m.n, h), "proof-mismatch, or no verified head"
    for at, h in nodes.items():
        assert known.setdefault(place(m, *at), h) == h, "contradicts an earlier proof"
    return old

def learn_page(m, page):                # proved by a path, or by what the siblings of an entry proved
    row = page
    while len(row) > 1:
        row = [node(m.tree, *row[j:j + 2], len(row) == 2 and m.n <= 32) if row[j + 1:] else row[j]
               for j in range(0, len(row), 2)]
    for path in [(), *paths[m.tree, m.n, m.window]]:
        with contextlib.suppress(AssertionError):
            prove(m, 5, m.window, row[0], path)
    assert len(page) == min(32, m.n - 32 * m.window), "proof-length"
    assert known[place(m, 5, m.window)] == row[0], "proof-mismatch"
    known.update((place(m, 0, 32 * m.window + j), h) for j, h in enumerate(page))

def fits(m, l):                         # does m answer the lookup l?                             # §13.1, §17
    same = all(getattr(m, k, v) == v for k, v in vars(l).items() if k in ("id", "window", "m"))
    new = m.kind != "HEAD" or m.flags or (m.epoch, m.n) >= (l.epoch, getattr(l, "n", 0))
    wanted = all(getattr(l, "want", ~0) >> bit & 1 for bit in m.chosen)
    asked = m.kind in l.answers + ["REFUSAL"] and l.dst in (m.src, b"\3\0FEED") and l.number < m.number
    return asked and same and new and wanted

def check(m):                           # raises if m was not asked for, or what is known does not prove it
    l = next((l for l in reversed(lookups[m.dst, m.token]) if fits(m, l)), None)
    assert l, "not asked for"
    m.tree = ("feed", getattr(m, "name", names.get(l.id)), getattr(m, "epoch", 0))
    if l.kind == "LOOKUP_BLOB":
        m.tree, m.n = ("blob", l.hash, l.len), max(1, -(-l.len // 1024))
        roots[m.tree, m.n] = l.hash
    if m.kind in ("HEAD", "GRANT"):                                                                 # §8, §9
        assert m.version == 1 and not m.name_kind and m.bits < (256 if m.kind == "HEAD" else 1), "bad record"
        key = keys[m.tree] if m.kind == "HEAD" and m.epoch else m.name
        message = f"AF_FEED 1 {m.kind.lower()}".encode().ljust(32, b"\0") + m.body[12:-64]
        Ed25519PublicKey.from_public_bytes(key).verify(m.signature, message)
        names[l.id], keys[m.tree] = m.name, getattr(m, "key", key)
        assert roots.setdefault((m.tree, m.n), m.root) == m.root and (m.n or not any(m.root)), "fork"
    elif m.kind == "CONS":                                                                          # §6
        assert 0 < m.m < m.n and m.hashes, "out-of-range"
        v = (m.m & -m.m).bit_length() - 1
        old = root(m.tree, m.m, prove(m, v, (m.m >> v) - 1, m.hashes[0], m.hashes[1:]))
        assert roots.setdefault((m.tree, m.m), old) == old, "fork"
    elif m.kind == "ENTRY":                                                                       # §4, §13.3
        assert m.m < m.n and m.bits < 1 << 16 and m.len <= 1 << 24, "bad-leaf"
        assert m.flags & 1 or not m.count, "proof-length"
        assert (m.tree, m.n) in roots, "no verified head of this length"
        assert len(m.payload) == m.payload_len == (m.len if m.flags & 2 else 0) <= 1024, "payload length"
        assert not m.flags & 2 or blake3(m.payload).digest() == m.hash, "payload"
        leaf = keyed("AF_FEED 1 leaf", m.body[28:92])
        if m.flags & 1:
            prove(m, 0, m.m, leaf, m.hashes)
        assert known[place(m, 0, m.m)] == leaf, "proof-mismatch"
        for seq, offset in (0, 0), (m.m, m.offset), (m.m + 1, m.offset + m.len):
            assert starts.setdefault((m.tree, seq), offset) == offset, "bad-offset"
    elif m.kind in ("PATH", "BLOB_PATH"):
        paths[m.tree, m.n, m.window].add(tuple(m.hashes))
        prove(m, 5, m.window, known[place(m, 5, m.window)], m.hashes)
    elif m.kind in ("PAGE", "BLOB_PAGE"):
        learn_page(m, m.hashes)
    elif m.kind == "BLOB_DATA":                                                                     # §11
        size, got = min(32768, l.len - 32768 * m.window), blocks[m.tree, m.window, m.dst]
        assert m.payload and not m.offset % 64, "out-of-range"
        assert all(got.setdefault(at, piece) == piece for at, piece in m.pieces.items()), "two versions"
        data = b"".join(got.get(at, bytes(64)) for at in range(0, size, 64))
        page = [chunk_value(data[at:at + 1024], 32 * m.window + at // 1024) for at in range(0, size, 1024)]
        page = page if m.n > 1 else [blake3(data).digest()]
        if place(m, 0, 32 * m.window) not in known:
            learn_page(m, page)
        for j in m.chosen:
            assert page[j] == known[place(m, 0, 32 * m.window + j)], "blob-mismatch"

def main(file, expected):
    capture, at, number = open(file, "rb").read(), 24, 0
    asked, answers, failures, counts = [], [], [], collections.Counter()
    while at < len(capture):
        number, size = number + 1, int.from_bytes(capture[at + 8:at + 12], "little")
        frame, at = capture[at + 16:at + 16 + size], at + 16 + size
        try:
            for m in messages(number, frame):
                (asked if m.answers else answers).append(m)
        except (AssertionError, struct.error) as error:
            failures.append(f"frame {number}: {error}")
    for l in asked:
        lookups[l.src, l.token].append(l)
    todo, left = [], answers
    while len(todo) != len(left):           # until nothing more is proved by what was proved before
        todo, left = left, []
        for m in todo:
            try:
                check(m)
                counts[m.kind] += 1
            except (AssertionError, LookupError, InvalidSignature) as error:
                m.why = error if isinstance(error, AssertionError) else type(error).__name__
                left.append(m)
    failures += [f"frame {m.number}: {m.kind}: {m.why}" for m in left]
    feeds, needed = expected.union(names.values()), {"HEAD", "ENTRY"}.union(l.answers[0] for l in asked)
    failures += [f"frame {l.number}: a name in clear" for l in asked if any(key in l.frame for key in feeds)]
    failures += [f"no head of {name.hex()}" for name in expected.difference(names.values())]
    failures += [f"no {kind} was checked" for kind in sorted(needed.difference(counts))]
    print(*(f"{kind} {counts[kind]}" for kind in sorted(counts)), *failures, sep="\n")
    return bool(failures)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], {bytes.fromhex(text) for text in sys.argv[2:] if text != "--names"}))

# SPDX-License-Identifier: GPL-2.0
"""Frames of the protocol, version 1: built and taken apart.

Written from rust/core/PROTOCOL.md, and from nothing else: the tests speak to
the module through this file, so it must not share the module's mistakes. It
builds what it is told to, wrong frames included.
"""

import struct
from types import SimpleNamespace

ETHERTYPE = 0x88B5
GROUP = bytes.fromhex("030046454544")
VERSION = 1
LIMITED = 1
MIN_FRAME = 60
U64_MAX = (1 << 64) - 1

END, REFUSAL, HEAD, GRANT, CONS, PATH, PAGE, ENTRY = range(8)
BLOB_PATH, BLOB_PAGE, BLOB_DATA = 8, 9, 10
OFFER, RECEIPT, FORK, CUSTODY = 0x20, 0x21, 0x22, 0xA0
LOOKUP_HEAD, LOOKUP_RANGE, LOOKUP_CONS, LOOKUP_BLOB, FOLLOW = range(0x81, 0x86)
LOOKUPS = (LOOKUP_HEAD, LOOKUP_RANGE, LOOKUP_CONS, LOOKUP_BLOB, FOLLOW)
ANSWERS = tuple(range(HEAD, BLOB_DATA + 1))

NAMES = {
    REFUSAL: "REFUSAL", HEAD: "HEAD", GRANT: "GRANT", CONS: "CONS", PATH: "PATH", PAGE: "PAGE",
    ENTRY: "ENTRY", BLOB_PATH: "BLOB_PATH", BLOB_PAGE: "BLOB_PAGE", BLOB_DATA: "BLOB_DATA",
    OFFER: "OFFER", RECEIPT: "RECEIPT", FORK: "FORK", CUSTODY: "CUSTODY",
    LOOKUP_HEAD: "LOOKUP_HEAD", LOOKUP_RANGE: "LOOKUP_RANGE", LOOKUP_CONS: "LOOKUP_CONS",
    LOOKUP_BLOB: "LOOKUP_BLOB", FOLLOW: "FOLLOW",
}

# Reasons of a refusal
NO_ROUTE, DUPLICATE_NONCE, HOP_LIMIT, BUSY, NOT_SERVED, UPSTREAM_TIMED_OUT = range(1, 7)

# Flags of messages
UNCHECKED = 1                      # HEAD
SIBLINGS, PAYLOAD = 1, 2           # ENTRY
LEAF_ONLY = 1                      # LOOKUP_RANGE
CHUNK_MODE = 1                     # LOOKUP_BLOB
HAVE_PATH, HAVE_PAGE = 1, 2        # `have` of lookups


# --- building -------------------------------------------------------------

def message(kind, body, flags=0):
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def frame(messages, cookie_echo=0, cookie_give=0, flags=0, version=VERSION):
    """The frame behind its Ethernet header."""
    body = b"".join(messages)
    return struct.pack("<BBHIQQ", version, flags, len(body), 0, cookie_echo, cookie_give) + body


def ethernet(dst, src, payload, ethertype=ETHERTYPE):
    return (dst + src + struct.pack(">H", ethertype) + payload).ljust(MIN_FRAME, b"\0")


def lookup(kind, ident, token, nonce, body, life_ms=2000, hop_limit=16, flags=0):
    preamble = struct.pack("<IQIB3x", nonce, token, life_ms, hop_limit) + ident
    return message(kind, preamble + body, flags)


def lookup_head(ident, token, nonce, at_least=(0, 0), held=(0, 0), max_age_ms=U64_MAX, **more):
    body = struct.pack("<IIQQQQ", at_least[0], held[0], at_least[1], held[1], max_age_ms, 0)
    return lookup(LOOKUP_HEAD, ident, token, nonce, body, **more)


def lookup_range(ident, token, nonce, n, window, want, epoch=0, have=0, **more):
    body = struct.pack("<IIQQII", epoch, want, n, window, have, 0)
    return lookup(LOOKUP_RANGE, ident, token, nonce, body, **more)


def lookup_cons(ident, token, nonce, m, n, epoch=0, **more):
    return lookup(LOOKUP_CONS, ident, token, nonce, struct.pack("<IIQQ", epoch, 0, m, n), **more)


def lookup_blob(ident, token, nonce, blob, length, window, want=0xFFFFFFFF, have=0, **more):
    body = blob + struct.pack("<IHHII", length, window, have, want, 0)
    return lookup(LOOKUP_BLOB, ident, token, nonce, body, **more)


def follow(ident, token, nonce, n, epoch=0, grant_bytes=4096, **more):
    return lookup(FOLLOW, ident, token, nonce, struct.pack("<IIQQQ", epoch, grant_bytes, n, 0, 0), **more)


def answer(kind, token, hops, count, body, flags=0):
    return message(kind, struct.pack("<BBHQ", hops, 0, count, token) + body, flags)


def head(token, signed, hops=1, flags=0):
    return answer(HEAD, token, hops, 0, signed, flags)


def grant(token, signed, hops=1):
    return answer(GRANT, token, hops, 0, signed)


def cons(token, m, n, hashes, epoch=0, hops=1):
    return answer(CONS, token, hops, len(hashes),
                  struct.pack("<IIQQ", epoch, 0, m, n) + b"".join(hashes))


def path(token, n, window, hashes, epoch=0, hops=1, kind=PATH):
    return answer(kind, token, hops, len(hashes),
                  struct.pack("<IIQQ", epoch, 0, n, window) + b"".join(hashes))


def page(token, n, window, hashes, epoch=0, hops=1):
    return path(token, n, window, hashes, epoch, hops, PAGE)


def entry(token, n, leaf, siblings=None, payload=None, epoch=0, hops=1):
    flags = (SIBLINGS if siblings is not None else 0) | (PAYLOAD if payload is not None else 0)
    siblings, payload = siblings or [], payload or b""
    return answer(ENTRY, token, hops, len(siblings),
                  struct.pack("<IIQ", epoch, len(payload), n) + leaf + b"".join(siblings) + payload,
                  flags)


def blob_path(token, window, hashes, hops=1, kind=BLOB_PATH):
    return answer(kind, token, hops, len(hashes), struct.pack("<HHI", window, 0, 0) + b"".join(hashes))


def blob_page(token, window, hashes, hops=1):
    return blob_path(token, window, hashes, hops, BLOB_PAGE)


def blob_data(token, window, offset, data, hops=1):
    return answer(BLOB_DATA, token, hops, 0, struct.pack("<HHI", window, 0, offset) + data)


def refusal(token, reason):
    return message(REFUSAL, struct.pack("<B3xQ", reason, token))


# --- taking apart ---------------------------------------------------------

class Malformed(Exception):
    pass


def split(payload):
    """The header and the raw messages of a frame (behind its Ethernet header)."""
    if len(payload) < 24:
        raise Malformed("shorter than a header")
    version, flags, length, reserved, echo, give = struct.unpack_from("<BBHIQQ", payload)
    if version != VERSION or reserved:
        raise Malformed("version or reserved field")
    body = payload[24:24 + length]
    if len(body) != length:
        raise Malformed("truncated")
    messages = []
    while len(body) >= 4 and body[0] != END:
        kind, mflags, mlen = struct.unpack_from("<BBH", body)
        if mlen < 4 or mlen > len(body):
            raise Malformed(f"message of type {kind:#x} says {mlen} of {len(body)} bytes")
        messages.append(body[:mlen])
        body = body[mlen:]
    return SimpleNamespace(flags=flags, cookie_echo=echo, cookie_give=give, messages=messages)


def hashes_at(raw, offset, count):
    if offset + 32 * count > len(raw):
        raise Malformed("fewer hashes than counted")
    return [raw[i:i + 32] for i in range(offset, offset + 32 * count, 32)]


def parse(raw):
    """One message as a namespace; `kind` and `flags` are always there."""
    m = SimpleNamespace(kind=raw[0], flags=raw[1], raw=raw, name=NAMES.get(raw[0], f"{raw[0]:#x}"))
    try:
        if m.kind in LOOKUPS:
            m.nonce, m.token, m.life_ms, m.hop_limit = struct.unpack_from("<IQIB", raw, 4)
            m.ident = raw[24:56]
            LOOKUP_FIELDS[m.kind](m, raw)
        elif m.kind in ANSWERS:
            m.hops, _, m.count, m.token = struct.unpack_from("<BBHQ", raw, 4)
            ANSWER_FIELDS[m.kind](m, raw)
        elif m.kind == REFUSAL:
            m.reason, m.token = struct.unpack_from("<B3xQ", raw, 4)
    except struct.error as error:
        raise Malformed(f"{m.name}: {error}") from error
    return m


def _lookup_head(m, raw):
    e, he, n, hn, m.max_age_ms, _ = struct.unpack_from("<IIQQQQ", raw, 56)
    m.at_least, m.held = (e, n), (he, hn)


def _lookup_range(m, raw):
    m.epoch, m.want, m.n, m.window, m.have, _ = struct.unpack_from("<IIQQII", raw, 56)


def _lookup_cons(m, raw):
    m.epoch, _, m.m, m.n = struct.unpack_from("<IIQQ", raw, 56)


def _lookup_blob(m, raw):
    m.blob = raw[56:88]
    m.blob_len, m.window, m.have, m.want, _ = struct.unpack_from("<IHHII", raw, 88)


def _follow(m, raw):
    m.epoch, m.grant_bytes, m.n = struct.unpack_from("<IIQ", raw, 56)


def _signed(m, raw):
    m.signed = raw[16:]


def _cons(m, raw):
    m.epoch, _, m.m, m.n = struct.unpack_from("<IIQQ", raw, 16)
    m.hashes = hashes_at(raw, 40, m.count)


def _path(m, raw):
    m.epoch, _, m.n, m.window = struct.unpack_from("<IIQQ", raw, 16)
    m.hashes = hashes_at(raw, 40, m.count)


def _entry(m, raw):
    m.epoch, length, m.n = struct.unpack_from("<IIQ", raw, 16)
    m.leaf = raw[32:96]
    m.siblings = hashes_at(raw, 96, m.count)
    rest = raw[96 + 32 * m.count:]
    if len(rest) != length:
        raise Malformed("payload length")
    m.payload = rest if m.flags & PAYLOAD else None


def _blob_path(m, raw):
    m.window, = struct.unpack_from("<H", raw, 16)
    m.hashes = hashes_at(raw, 24, m.count)


def _blob_data(m, raw):
    m.window, _, m.offset = struct.unpack_from("<HHI", raw, 16)
    m.data = raw[24:]


LOOKUP_FIELDS = {LOOKUP_HEAD: _lookup_head, LOOKUP_RANGE: _lookup_range, LOOKUP_CONS: _lookup_cons,
                 LOOKUP_BLOB: _lookup_blob, FOLLOW: _follow}
ANSWER_FIELDS = {HEAD: _signed, GRANT: _signed, CONS: _cons, PATH: _path, PAGE: _path, ENTRY: _entry,
                 BLOB_PATH: _blob_path, BLOB_PAGE: _blob_path, BLOB_DATA: _blob_data}

# SPDX-License-Identifier: GPL-2.0
"""AF_FEED sockets from Python, by libc: Python's own connect() and bind()
refuse families that they do not know."""

import ctypes
import os
import select
import struct

AF_FEED, SEQPACKET, SOL_FEED = 18, 5, 300
SOL_SOCKET, SO_RCVTIMEO = 1, 20
SECRET_KEY, PUBLIC_KEY, AUTHOR_HEAD, HEAD, SEEK, INFO = 1, 3, 4, 5, 6, 8
FINAL, NEXT_BY, FORK, TIMEOUT = 10, 11, 12, 13
BIND_NEW, SEQ_NEW = 1, (1 << 64) - 1
CMSG_ENTRY, CMSG_APPEND = 1, 2
NETWORK, STALE, AGE_UNKNOWN = 1, 2, 4
MSG_PEEK, MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, MSG_MORE = 0x2, 0x40, 0x80, 0x4000, 0x8000

libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class EntryInfo:
    """struct feed_entry_info"""

    def __init__(self, raw):
        (self.seq, self.time, self.head_age, self.len, self.hops, self.flags,
         self.app_flags) = struct.unpack_from("=QQQIHHH", raw)
        self.blob = raw[40:72]


def checked(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def address(name, seq=0, flags=0):
    return struct.pack("=HHIQ32s", AF_FEED, flags, 0, seq, name)


class Socket:
    def __init__(self, nonblock=False):
        self.fd = checked(libc.socket(AF_FEED, SEQPACKET | (os.O_NONBLOCK if nonblock else 0), 0))
        self.info = None
        self.flags = 0

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def fileno(self):
        return self.fd

    def set(self, option, value):
        checked(libc.setsockopt(self.fd, SOL_FEED, option, value, len(value)))

    def get(self, option, size):
        value, length = ctypes.create_string_buffer(size), ctypes.c_uint32(size)
        checked(libc.getsockopt(self.fd, SOL_FEED, option, value, ctypes.byref(length)))
        return value.raw[:length.value]

    def seed(self, seed):
        self.set(SECRET_KEY, seed)
        return self.get(PUBLIC_KEY, 32)

    def timeout(self, ms):
        self.set(TIMEOUT, struct.pack("=Q", ms))

    def patience(self, seconds):
        """No receive call lasts longer, whatever is known of the feed."""
        value = struct.pack("=qq", seconds, 0)
        checked(libc.setsockopt(self.fd, SOL_SOCKET, SO_RCVTIMEO, value, len(value)))

    def bind(self, name, flags=0):
        raw = address(name, 0, flags)
        checked(libc.bind(self.fd, raw, len(raw)))

    def connect(self, name, seq=0):
        raw = address(name, seq)
        checked(libc.connect(self.fd, raw, len(raw)))

    def send(self, data, flags=0):
        return checked(libc.send(self.fd, data, ctypes.c_size_t(len(data)), flags))

    def head(self):
        return self.get(HEAD, 160)

    def known(self):
        """(epoch, n) of the held head."""
        epoch, n = struct.unpack_from("<IQ", self.head(), 4)
        return epoch, n

    def receive(self, size=1 << 16, flags=0):
        """One recvmsg(): the bytes; .flags and .info are of it."""
        data, control = ctypes.create_string_buffer(size), ctypes.create_string_buffer(256)
        iov = Iovec(ctypes.cast(data, ctypes.c_void_p), size)
        m = Msghdr(None, 0, ctypes.pointer(iov), 1, ctypes.cast(control, ctypes.c_void_p), 256, 0)
        got = checked(libc.recvmsg(self.fd, ctypes.byref(m), flags))
        self.flags, self.info = m.flags, None
        if m.controllen >= 16:
            length, level, kind = struct.unpack_from("=QII", control.raw)
            if (level, kind) == (SOL_FEED, CMSG_ENTRY):
                self.info = EntryInfo(control.raw[16:length])
        return data.raw[:got]

    def entry(self):
        """One whole entry; None at the end of the feed."""
        parts = []
        while True:
            part = self.receive()
            if not part and not self.flags & MSG_EOR:
                return None
            parts.append(part)
            if self.flags & MSG_EOR:
                return b"".join(parts)

    def ready(self, timeout_s):
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(int(timeout_s * 1000)))


def reader(name, seq=0, timeout_ms=5000):
    made = Socket()
    try:
        made.timeout(timeout_ms)
        made.patience(60)
        made.connect(name, seq)
    except OSError:
        made.close()
        raise
    return made


def author(seed, new=True):
    made = Socket()
    name = made.seed(seed)
    made.bind(name, BIND_NEW if new else 0)
    return made

# SPDX-License-Identifier: GPL-2.0
"""A neighbour on an Ethernet device: asks, answers, and lies on request."""

import fcntl
import os
import random
import select
import socket
import struct
import threading
import time

from . import frames

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33
SIOCGIFMTU, SIOCGIFHWADDR = 0x8921, 0x8927


def device(tap, name):
    """Address and MTU of a device, asked of a socket: /sys shows the devices
    of the namespace that it was mounted in."""
    request = name.encode().ljust(16, b"\0") + bytes(24)
    mac = fcntl.ioctl(tap, SIOCGIFHWADDR, request)[18:24]
    return mac, struct.unpack_from("=i", fcntl.ioctl(tap, SIOCGIFMTU, request), 16)[0]


class Port:
    """Raw frames of our EtherType on one device."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.ETHERTYPE))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((name, 0))
        self.mac, self.mtu = device(self.socket, name)

    def send(self, dst, payload):
        self.socket.send(frames.ethernet(dst, self.mac, payload))

    def send_raw(self, data):
        self.socket.send(data)

    def receive(self, timeout_s):
        """(source, payload) or None."""
        if not select.select([self.socket], [], [], timeout_s)[0]:
            return None
        data = self.socket.recv(65536)
        return data[6:12], data[14:]

    def close(self):
        self.socket.close()


class Asker(Port):
    """Sends lookups and collects what comes back for them."""

    def __init__(self, name, neighbour=frames.GROUP):
        super().__init__(name)
        self.neighbour = neighbour
        self.cookie = 0

    def ask(self, *lookups, until=lambda messages: bool(messages), timeout_s=2.0):
        """Send the lookups in one frame; messages of the answers until
        @until(messages) holds or time is up."""
        tokens = {struct.unpack_from("<Q", raw, 8)[0] for raw in lookups}
        self.send(self.neighbour, frames.frame(lookups, cookie_echo=self.cookie))
        deadline = time.monotonic() + timeout_s
        messages = []
        while not until(messages):
            left = deadline - time.monotonic()
            got = self.receive(left) if left > 0 else None
            if got is None:
                break
            source, payload = got
            view = frames.split(payload)
            parsed = [frames.parse(raw) for raw in view.messages]
            mine = [m for m in parsed if m.kind not in frames.LOOKUPS and getattr(m, "token", None) in tokens]
            if mine:
                self.neighbour = source
                self.cookie = view.cookie_give or self.cookie
            messages += mine
        return messages

    @staticmethod
    def nonce():
        return random.getrandbits(32)

    @staticmethod
    def token():
        return random.getrandbits(64)


class Server(Port):
    """Serves feeds from memory, as an honest host would.

    @tamper is called with (messages, lookup) before they are packed and gives
    the messages to send; @mangle is called with each finished Ethernet frame
    and gives the frames (a list) to send in its place.
    """

    COOKIE = 0x1122334455667788

    def __init__(self, name, feeds, tamper=None, mangle=None, pages=False):
        super().__init__(name)
        self.feeds = {feed.ident: feed for feed in feeds}
        self.tamper = tamper or (lambda messages, lookup: messages)
        self.mangle = mangle or (lambda data: [data])
        self.pages = pages
        self.lookups = []
        self.answered = 0
        self.quit_read, self.quit_write = os.pipe()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.error = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        os.write(self.quit_write, b"q")
        self.thread.join(10)
        os.close(self.quit_read)
        os.close(self.quit_write)
        self.close()
        if self.error:
            raise self.error

    def loop(self):
        try:
            while True:
                ready = select.select([self.socket, self.quit_read], [], [])[0]
                if self.quit_read in ready:
                    return
                data = self.socket.recv(65536)
                self.on_frame(data[6:12], data[14:])
        except Exception as error:  # shown by __exit__, in the story's thread
            self.error = error

    def on_frame(self, source, payload):
        view = frames.split(payload)
        for raw in view.messages:
            m = frames.parse(raw)
            if m.kind not in frames.LOOKUPS:
                continue
            m.source = source
            self.lookups.append(m)
            self.reply(source, view.cookie_give, self.tamper(self.answers(m), m))

    def reply(self, destination, cookie, messages):
        """Pack messages into as few frames as hold them."""
        batch, size = [], 24
        for raw in [*messages, None]:
            if batch and (raw is None or size + len(raw) > self.mtu):
                built = frames.frame(batch, cookie_echo=cookie, cookie_give=self.COOKIE)
                for data in self.mangle(frames.ethernet(destination, self.mac, built)):
                    self.send_raw(data)
                    self.answered += 1
                batch, size = [], 24
            if raw is not None:
                batch.append(raw)
                size += len(raw)

    def answers(self, m):
        feed = self.feeds.get(m.ident)
        if feed is None:
            return [frames.refusal(m.token, frames.NO_ROUTE)]
        return {
            frames.LOOKUP_HEAD: self.head,
            frames.LOOKUP_RANGE: self.range,
            frames.LOOKUP_CONS: self.cons,
            frames.LOOKUP_BLOB: self.blob,
            frames.FOLLOW: self.follow,
        }[m.kind](feed, m)

    @staticmethod
    def head(feed, m):
        if (feed.epoch, feed.n) < m.at_least:
            return []
        out = [frames.head(m.token, feed.head())]
        if feed.epoch > m.held[0]:
            out.append(frames.grant(m.token, feed.grant()))
        elif 0 < m.held[1] < feed.n:
            out.append(frames.cons(m.token, m.held[1], feed.n, feed.cons(m.held[1]), feed.epoch))
        return out

    def range(self, feed, m):
        n = m.n if 0 < m.n <= feed.n else feed.n
        wanted = [seq for bit in range(32) if m.want >> bit & 1 and (seq := 32 * m.window + bit) < n]
        room = self.mtu - 24
        single, alone = [], not self.pages
        for seq in wanted:
            payload = feed.payload(seq)
            payload = payload if len(payload) <= 1024 and not m.flags & frames.LEAF_ONLY else None
            raw = frames.entry(m.token, n, feed.leaves[seq], feed.entry_siblings(seq, n), payload, feed.epoch)
            alone &= len(raw) <= room
            single.append((seq, payload, raw))
        if alone:
            return [raw for _, _, raw in single]
        out = []
        if not m.have & frames.HAVE_PATH:
            out.append(frames.path(m.token, n, m.window, feed.path(m.window, n), feed.epoch))
        if not m.have & frames.HAVE_PAGE:
            out.append(frames.page(m.token, n, m.window, feed.page(m.window, n), feed.epoch))
        return out + [frames.entry(m.token, n, feed.leaves[seq], None, payload, feed.epoch)
                      for seq, payload, _ in single]

    @staticmethod
    def cons(feed, m):
        if not 0 < m.m < m.n <= feed.n:
            return []
        return [frames.cons(m.token, m.m, m.n, feed.cons(m.m, m.n), feed.epoch)]

    def blob(self, feed, m):
        blob = feed.blobs.get((m.blob, m.blob_len))
        if blob is None:
            return [frames.refusal(m.token, frames.NO_ROUTE)]
        out = []
        if len(blob.windows) > 1 and not m.have & frames.HAVE_PATH:
            out.append(frames.blob_path(m.token, m.window, blob.path(m.window)))
        chunked = m.flags & frames.CHUNK_MODE
        if chunked and not m.have & frames.HAVE_PAGE:
            out.append(frames.blob_page(m.token, m.window, blob.page(m.window)))
        data = blob.window(m.window)
        piece = (self.mtu - 24 - 24) // (1024 if chunked else 64) * (1024 if chunked else 64)
        for offset in range(0, len(data), piece):
            part = data[offset:offset + piece]
            chunks = range(offset // 1024, (offset + len(part) - 1) // 1024 + 1)
            if any(m.want >> c & 1 for c in chunks):
                out.append(frames.blob_data(m.token, m.window, offset, part))
        return out

    @staticmethod
    def follow(feed, m):
        """What is newer is told at once; pushes are the story's business."""
        if (feed.epoch, feed.n) <= (m.epoch, m.n):
            return []
        out = [frames.head(m.token, feed.head())]
        if m.n:
            out.append(frames.cons(m.token, m.n, feed.n, feed.cons(m.n), feed.epoch))
        return out

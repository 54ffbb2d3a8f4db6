# SPDX-License-Identifier: GPL-2.0
"""The two lives of one author; see 17-reboot.sh. The head that its program
kept lies in /tmp, as it would on a disk."""

import errno
import hashlib
import sys

import feedsock
from ktap import Results
from wire import spaces

SEED = hashlib.sha256(b"an author that loses its memory").digest()
KEPT = "/tmp/feed-kept-head"
ENTRIES = [b"the first", b"the second", b"the third"]


def error_of(function, *args):
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def read_all(count, node="reader"):
    with spaces.inside(node), feedsock.reader(name_of(), 0, 20000) as reader:
        return [reader.entry() for _ in range(count)]


def name_of():
    with feedsock.Socket() as socket:
        return socket.seed(SEED)


def first():
    with spaces.inside("author"), feedsock.author(SEED) as author:
        for text in ENTRIES:
            author.send(text)
        with open(KEPT, "wb") as file:
            file.write(author.head())
    assert read_all(3) == ENTRIES


def socket_of(head=None):
    socket = feedsock.Socket()
    socket.seed(SEED)
    if head:
        # What it covers is out there, and will be found.
        socket.timeout(20000)
        socket.set(feedsock.AUTHOR_HEAD, head)
    return socket


def second():
    results = Results()
    with open(KEPT, "rb") as file:
        kept = file.read()
    name = name_of()
    with spaces.inside("author"):
        with socket_of() as plain:
            plain.bind(name)
            results.equal("without a remembered head send() is ESTALE", error_of(plain.send, b"branch"), "ESTALE")
        # Reading it puts the head into the store. It came from the network, and permits nothing.
        results.equal("the author can read what it wrote", read_all(3, "author"), ENTRIES)
        with socket_of() as plain:
            plain.bind(name)
            results.equal("a head found in the network alone permits nothing",
                          error_of(plain.send, b"branch"), "ESTALE")
        spaces.feedctl("author", "store", "flush")
        with socket_of(kept) as careful:
            careful.bind(name)
            results.equal("with the remembered head it may go on", error_of(careful.send, b"the fourth"), None)
            results.equal("as entry 3", careful.known(), (0, 4))
    results.equal("the reader sees one branch", read_all(4), [*ENTRIES, b"the fourth"])
    with spaces.inside("reader"), feedsock.reader(name, 0) as reader:
        results.equal("there is no fork", error_of(reader.get, feedsock.FORK, 320), "ENODATA")

    # The remembered head is older than what the network has: the newer one is held before a signature.
    with spaces.inside("author"):
        with socket_of(kept) as careful:
            careful.bind(name)
            results.equal("an older remembered head is no branch either", error_of(careful.send, b"the fifth"), None)
            results.equal("as entry 4", careful.known(), (0, 5))
    results.equal("still one branch", read_all(5)[3:], [b"the fourth", b"the fifth"])
    results.end()


{"first": first, "second": second}[sys.argv[1]]()

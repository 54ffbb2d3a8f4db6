# SPDX-License-Identifier: GPL-2.0
"""Authors and readers of many entries, for stories about the store.

    fill.py append SEED COUNT SIZE [FIRST]    entries of SIZE bytes, made from SEED and their number
    fill.py read SEED FROM TO SIZE            reads and compares; prints how many came how far:
                                              `right N wrong N missing N hops 0:N 1:N 2:N`
    fill.py copies COUNT FILE                 FILE as the first entry of each of COUNT feeds
    fill.py same COUNT FILE                   how many of those feeds have FILE as their first entry
    fill.py fill SEED SIZE                    appends until it may not: prints the errno and how many
    fill.py batch SEED SIZE                   the same with MSG_MORE, so that heads come later
    fill.py name SEED
"""

import collections
import errno
import hashlib
import socket
import sys

import feedsock


def seed_of(word):
    return hashlib.sha256(f"fill {word}".encode()).digest()


def payload(word, number, size):
    return hashlib.shake_128(f"{word} {number}".encode()).digest(size)


def name_of(word):
    with feedsock.Socket() as author:
        return author.seed(seed_of(word))


def append(word, count, size, first=0):
    with feedsock.author(seed_of(word), first == 0) as author:
        for i in range(first, first + count):
            author.send(payload(word, i, size))
    print(f"appended {count}")


def fill(word, size, flags=0):
    with feedsock.author(seed_of(word)) as author:
        for i in range(1 << 16):
            try:
                author.send(payload(word, i, size), flags)
            except OSError as error:
                return print(errno.errorcode[error.errno], i)
    return print("everything fitted")


def copies(count, path):
    for i in range(count):
        with feedsock.author(seed_of(f"copy {i}")) as author:
            author.send(content(path))


def same(count, path):
    right = 0
    for i in range(count):
        with feedsock.reader(name_of(f"copy {i}"), 0, 30000) as reader:
            right += reader.entry() == content(path)
    print(right)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def read(word, begin, end, size):
    tally = collections.Counter()
    hops = collections.Counter()
    with feedsock.reader(name_of(word), begin, 30000) as reader:
        for i in range(begin, end):
            try:
                data = b""
                most = 0
                while not data or not reader.flags & feedsock.MSG_EOR:
                    data += reader.receive()
                    most = max(most, reader.info.hops)
                tally["right" if data == payload(word, i, size) else "wrong"] += 1
                hops[most] += 1
            except OSError as error:
                print(f"entry {i}: {error}", file=sys.stderr)
                tally["missing"] += 1
                break
    print("right {right} wrong {wrong} missing {missing} hops".format(
        **{k: tally[k] for k in ("right", "wrong", "missing")}),
        *(f"{h}:{hops[h]}" for h in range(4)))
    return tally["right"] != end - begin


def main():
    verb, word, *rest = sys.argv[1:]
    if verb == "append":
        append(word, *map(int, rest))
    elif verb == "copies":
        copies(int(word), rest[0])
    elif verb == "same":
        same(int(word), rest[0])
    elif verb == "fill":
        fill(word, int(rest[0]))
    elif verb == "batch":
        fill(word, int(rest[0]), socket.MSG_MORE)
    elif verb == "read":
        sys.exit(read(word, *map(int, rest)))
    elif verb == "name":
        print("feed:" + name_of(word).hex())
    else:
        sys.exit(__doc__)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
"""A feed with one entry, and a reader of any feed. Needs libfeed.so.0.

hello.py "some words"   appends them to a new feed and prints its name
hello.py feed:HEX       prints the entries of that feed
"""

import ctypes
import os
import sys

feed = ctypes.CDLL("libfeed.so.0", use_errno=True)
feed.feed_strerror.restype = ctypes.c_char_p
feed.feed_append.restype = feed.feed_read_entry.restype = ctypes.c_ssize_t
NEW, ENODATA = 1, 61


def check(result):
    if result < 0:
        sys.exit(feed.feed_strerror(ctypes.get_errno()).decode())
    return result


def say(words):
    name, text = ctypes.create_string_buffer(32), ctypes.create_string_buffer(91)
    fd = check(feed.feed_open_author(os.urandom(32), NEW, None))
    check(feed.feed_append(fd, words, ctypes.c_size_t(len(words)), None, 0))
    check(feed.feed_public_key(fd, name))
    check(feed.feed_format_name(text, ctypes.c_size_t(91), name, None))
    print(text.value.decode())


def hear(name):
    fd = check(feed.feed_open_reader(name, ctypes.c_uint64(0), 0))
    entry, size = ctypes.c_void_p(), ctypes.c_size_t()
    while True:
        length = feed.feed_read_entry(fd, ctypes.byref(entry), ctypes.byref(size), None)
        if length < 0 and ctypes.get_errno() == ENODATA:
            return
        print(ctypes.string_at(entry, check(length)).decode(), flush=True)


name = ctypes.create_string_buffer(32)
if len(sys.argv) != 2:
    sys.exit(__doc__)
hear(name) if feed.feed_parse_name(sys.argv[1].encode(), name, None) == 0 else say(sys.argv[1].encode())

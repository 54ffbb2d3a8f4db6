#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
"""hello.py "some words"   appends them to a new feed and prints its name
hello.py feed:HEX       prints the entries of that feed, as they come"""

import ctypes
import os
import sys
from ctypes import byref, c_size_t, c_ssize_t, c_uint64, c_void_p, create_string_buffer

feed = ctypes.CDLL("libfeed.so.0", use_errno=True)
feed.feed_strerror.restype = ctypes.c_char_p
feed.feed_append.restype = feed.feed_read_entry.restype = c_ssize_t
FEED_OPEN_NEW = 1


def check(result):
    if result < 0:
        sys.exit(feed.feed_strerror(ctypes.get_errno()).decode())
    return result


words, name, text = sys.argv[1].encode(), create_string_buffer(32), create_string_buffer(91)
if feed.feed_parse_name(words, name, None) == 0:
    fd = check(feed.feed_open_reader(name, c_uint64(0), 0))
    entry, size = c_void_p(), c_size_t()
    while True:
        length = check(feed.feed_read_entry(fd, byref(entry), byref(size), None))
        print(ctypes.string_at(entry, length).decode(), flush=True)
else:
    fd = check(feed.feed_open_author(os.urandom(32), FEED_OPEN_NEW, None))
    check(feed.feed_append(fd, words, c_size_t(len(words)), None, 0))
    check(feed.feed_public_key(fd, name))
    check(feed.feed_format_name(text, c_size_t(91), name, None))
    print(text.value.decode())

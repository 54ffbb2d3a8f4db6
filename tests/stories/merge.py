# SPDX-License-Identifier: GPL-2.0
"""merge.py FEED SEQ FILE COUNT: many readers of one entry, all at once."""

import sys
import threading

import feedsock

name, seq, path, count = bytes.fromhex(sys.argv[1].removeprefix("feed:")), *sys.argv[2:]
with open(path, "rb") as file:
    want = file.read()
readers = [feedsock.reader(name, int(seq), 20000) for _ in range(int(count))]
got = []
start = threading.Barrier(len(readers))


def read(socket):
    start.wait()
    try:
        got.append(socket.entry())
    except OSError as error:
        got.append(error)


threads = [threading.Thread(target=read, args=(socket,)) for socket in readers]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
right = sum(data == want for data in got)
print(f"{right} of {count} right; others: {[x for x in got if x != want][:3]}")
sys.exit(right != int(count))

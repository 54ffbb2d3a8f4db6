# SPDX-License-Identifier: GPL-2.0
"""Network namespaces by name, figures of their nodes."""

import contextlib
import json
import os
import subprocess
import threading


@contextlib.contextmanager
def inside(node):
    """This thread is in @node for a while. Sockets made there stay there."""
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{node}", os.O_RDONLY)
    try:
        os.setns(there, os.CLONE_NEWNET)
        yield
    finally:
        os.setns(back, os.CLONE_NEWNET)
        os.close(there)
        os.close(back)


def feedctl(node, *words):
    done = subprocess.run(["ip", "netns", "exec", node, "feedctl", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"feedctl {' '.join(words)} in {node}: {done.stderr.strip()}")
    return done.stdout


def counters(node):
    return json.loads(feedctl(node, "-j", "stats", "show", "--all"))


def figures(node):
    return json.loads(feedctl(node, "-j", "store", "show"))


def grown(before, after):
    """Counters that rose, and by how much."""
    return {name: value - before.get(name, 0) for name, value in after.items()
            if value != before.get(name, 0)}


def spread(function, items, threads=4):
    """Call function(item) for all items from a few threads; results in order."""
    items = list(items)
    results = [None] * len(items)
    todo = iter(range(len(items)))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                i = next(todo, None)
            if i is None:
                return
            try:
                results[i] = function(items[i])
            except Exception as error:
                results[i] = error

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results

# SPDX-License-Identifier: GPL-2.0
"""The scanner must see every kind of report and cry at nothing else."""

import re
import unittest

from lablib.splat import scan

# First lines of real reports.
REPORTS = [
    "[   13.637991] WARNING: CPU: 0 PID: 1 at net/core/dev.c:12 netif_rx+0x1/0x2",
    "[   13.637991] WARNING: net/core/dev.c:12 at netif_rx+0x1/0x2, CPU#0: sh/92",
    "[    2.101000][    T1] WARNING: possible circular locking dependency detected",
    "[    2.101000] WARNING: possible recursive locking detected",
    "[    2.101000] WARNING: inconsistent lock state",
    "[    2.101000] WARNING: suspicious RCU usage",
    "[    2.101000] WARNING: bad unlock balance detected!",
    "[    0.900000] BUG: KASAN: slab-out-of-bounds in feed_init+0x1/0x2 [feed]",
    "[    0.900000] BUG: sleeping function called from invalid context at mm/slab.h:1",
    "[    0.900000] BUG: scheduling while atomic: sh/1/0x00000002",
    "[    0.900000] BUG: unable to handle page fault for address: ffffffffc0000000",
    "[    0.900000] BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "[    0.900000] BUG: Bad page state in process sh  pfn:12345",
    "[    0.900000] BUG kmalloc-64 (Tainted: G           O       ): Redzone overwritten",
    "[    0.900000] watchdog: BUG: soft lockup - CPU#0 stuck for 126s! [sh:92]",
    "[    0.900000] kernel BUG at mm/slub.c:1234!",
    "[    0.900000] Oops: 0002 [#1] SMP",
    "[    0.900000] Oops: invalid opcode: 0000 [#1] SMP",
    "[    0.900000] Internal error: Oops: 96000004 [#1] SMP",
    "[    0.900000] general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]",
    "[    0.900000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000",
    "[    0.900000] UBSAN: shift-out-of-bounds in lib/x.c:1:2",
    "[    0.900000] refcount_t: underflow; use-after-free.",
    "[    0.900000] list_add corruption. prev->next should be next (x), but was y.",
    "[    0.900000] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "[  301.100000] INFO: task feedctl:77 blocked for more than 300 seconds.",
    "[    0.900000] INFO: trying to register non-static key.",
    "[   99.100000] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[   99.100000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "[   99.100000] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-.... } 6 jiffies s: 1",
    "[   99.100000] unregister_netdevice: waiting for veth0 to become free. Usage count = 2",
    "[   99.100000] rust_kernel: panicked at rust/store.rs:12:3:",
    "[   99.100000] ODEBUG: free active (active state 0) object: 1 object type: timer_list",
    "[   99.100000] ------------[ cut here ]------------",
]

# Lines that mention the words, and are nobody's bug.
INNOCENT = [
    "[    0.062538] Kernel command line: console=ttyS0 panic=-1 oops=panic rcupdate.rcu_cpu_stall_timeout=180",
    "[    0.144576] rcu: Preemptible hierarchical RCU implementation.",
    "[    0.144810] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
    "[    0.611083] NMI watchdog: Perf NMI watchdog permanently disabled",
    "[    0.257700] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
    "[    0.020000] tsc: Unable to calibrate against PIT",
    "[    1.190793] CE: hpet increased min_delta_ns to 7500 nsec",
    "[    1.721708] RAS: Correctable Errors collector initialized.",
    "[    2.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15678)",
    "[    2.000000] kmemleak: Automatic memory scanning thread started",
    "[    2.000000] KASAN: init done",
    "[    2.000000] feed: loading out-of-tree module taints kernel.",
    "[    2.000000] sh[92]: segfault at 0 ip 0000000000000000 sp 00007ffd error 14 in busybox",
    "[    2.000000] Out of memory: Killed process 99 (hog) total-vm:1234kB",
    "[    2.000000] FAULT_INJECTION: forcing a failure.",
    "[    2.000000] sched: DL replenish lagged too much",
    "[    2.000000] feed: frame dropped: malformed, BUG: in the sender",
    "[    2.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "[    2.000000]  ... CHAINHASH_SIZE:          32768",
    "[    2.000000] clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
    "[    2.000000] workqueue: feed_verify hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
    # Under memory pressure drivers run dry and try again.
    "[   99.100000] swapper/0: page allocation failure: order:0, mode:0x820(GFP_ATOMIC)",
    "[    2.000000] debug: INFO: nothing to see",
    "WARN_ON_ONCE is a macro",
    "",
]

LONG_REPORT = """\
[    1.000000] feed: all is well
[    5.000000] ------------[ cut here ]------------
[    5.000001] WARNING: CPU: 0 PID: 1 at net/core/dev.c:12 netif_rx+0x1/0x2
[    5.000100] Call Trace:
[    5.000101]  BUG: is a word here
[    5.000200] ---[ end trace 0000000000000000 ]---
[    5.000300] BUG: KASAN: use-after-free in feed_exit+0x1/0x2 [feed]
[    5.000301] Read of size 8 at addr ffff888000000000 by task sh/92
[    7.000000] feed: two seconds later
[    7.100000] Kernel panic - not syncing: really
"""


class Splat(unittest.TestCase):
    def test_every_report_is_seen(self):
        for line in REPORTS:
            with self.subTest(line):
                self.assertEqual([splat.lines for splat in scan(line)], [[line]])

    def test_report_without_time_stamp_is_seen(self):
        for line in REPORTS:
            with self.subTest(line):
                self.assertEqual(len(scan(re.sub(r"^(\[ *[T\d.]+\])+ ", "", line))), 1)

    def test_innocent_lines_are_not(self):
        for line in INNOCENT:
            with self.subTest(line):
                self.assertEqual(scan(line), [])

    def test_one_report_is_one_splat(self):
        splats = scan(LONG_REPORT)
        self.assertEqual([len(splat.lines) for splat in splats], [5, 2, 1])
        self.assertIn("netif_rx", str(splats[0]))
        self.assertIn("Read of size 8", str(splats[1]))
        self.assertNotIn("two seconds later", str(splats[1]))


if __name__ == "__main__":
    unittest.main()

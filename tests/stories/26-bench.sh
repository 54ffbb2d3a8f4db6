#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [generator]----[node]       lookups as fast as they can be made
#   [author]----[reader]        bulk, then the same beside a flood of junk
#
# What the benchmark measures, with little work, in a kernel that checks itself:
# lines 1, 3 and 14 of its table.
. "$(dirname -- "$0")/../lib.sh"

[ -e /lib/feed/feed_bench.ko ] || skip "traffic of the benchmark" "only the bed with checkers has feed_bench.ko"

load
for line in 1 3 14; do
	check "line $line" feed-bench check --lines "$line"
done
check "the generator goes" rmmod feed_bench

story_end

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[cache]r--l[first]
#                   \----l[second]
#
# The first reader fetches through the cache; the author vanishes with its
# machine; a second reader, never there before, gets everything from the cache.
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
node second
link c1 s second l
port c1 s
port second l
uplink second l
FEED=$(key a)
random_file one 500
random_file two 200000
new_feed author a "$TMP/one" "$TMP/two"
check "the first reader reads" same reader "$FEED" 1 "$TMP/two"
check "the first reader reads the small one" same reader "$FEED" 0 "$TMP/one"

say "the author's namespace dies"
must ip netns del author
NODES=(c1 reader second)
check "the second reader reads the big one" same second "$FEED" 1 "$TMP/two"
check_equal "one hop: from the cache" "$(stat_of second "$FEED" 1 hops)" 1
check "and the small one" same second "$FEED" 0 "$TMP/one"

say "the first reader goes too, and the cache loses its memory: nothing is left"
must ip netns del reader
NODES=(c1 second)
must on second feedctl store flush
must on c1 feedctl store flush
READ_TIMEOUT_MS=700
check "what nobody has is ETIMEDOUT or ENETUNREACH, not wrong bytes" bash -c "! ip netns exec second feedctl -q cat --timeout 700 $FEED/1 >$TMP/none && test ! -s $TMP/none"

story_end

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#   [author]r--l[c1]r--l[reader]       l and r of c1 are recorded
#     [peer]r--m[c1]                   peer is a program with a raw socket
#
# What crosses the links, in answers of every kind: no lookup holds a name in
# clear, frames are never short, and every answer proves itself
# (tests/verify_pcap.py checks that with other libraries; here the tests' own
# code takes frames apart). A window may be in one long frame (30-long).
. "$(dirname -- "$0")/../lib.sh"

load
chain 2
node peer
link peer r c1 m
port c1 m
for dev in l r; do
	on c1 tcpdump -q --immediate-mode -s 65535 -U -i "$dev" -w "$TMP/$dev.pcap" ether proto 0x88b5 >/dev/null 2>"$TMP/$dev.err" &
	must wait_until 60 grep -q listening "$TMP/$dev.err"
done
FEED=$(key a)
random_file small 300
random_file big 100000
seq 1 100 >"$TMP/lines"
new_feed author a "$TMP/small" "$TMP/big"
add author a --lines "$TMP/lines"
check "a transfer" same reader "$FEED" 1 "$TMP/big"
check "the rest" on reader bash -c "feedctl -q cat $FEED 0..102 >/dev/null"
add author a "$TMP/small"
check "an append later" same reader "$FEED" 102 "$TMP/small"

on reader feedctl -q tail -f -n 1 "$FEED" >"$TMP/followed" 2>/dev/null &
must wait_until 60 test -s "$TMP/followed"
for word in one "two three"; do
	add author a --lines <(tr ' ' '\n' <<<"$word")
	check "who follows hears $word" wait_until 60 grep -qa "${word#* }" "$TMP/followed"
done

# What only a raw socket gives or asks for here: a grant, a proof by its name,
# chunks with their page, a refusal.
absorb python3 - "$FEED" "$TMP/big" <<'PY'
import sys
import feedsock
from ktap import Results
from wire import blake3, feed, frames, peer, spaces

results = Results()
granted = feed.Feed(b"g" * 32, epoch=1, working_seed=b"w" * 32)
granted.append(b"signed by a working key")
spaces.feedctl("c1", "route", "add", f"feed:{granted.name.hex()}", "dev", "m")
with spaces.inside("peer"):
    server = peer.Server("r", [granted])
with server, spaces.inside("reader"), feedsock.reader(granted.name, 0, 20000) as socket:
    results.equal("a feed with a grant", socket.entry(), granted.payload(0))

blob = feed.Blob(open(sys.argv[2], "rb").read())
hint = feed.discovery_id(bytes.fromhex(sys.argv[1].removeprefix("feed:")))
with spaces.inside("reader"):
    asker = peer.Asker("l")
    for attempt in range(2):    # the first answer brings the cookie
        got = asker.ask(frames.lookup_blob(hint, asker.token(), asker.nonce(), blob.hash, len(blob.data), 1,
                                           want=0x50, flags=frames.CHUNK_MODE),
                        until=lambda seen: sum(len(getattr(m, "data", b"")) for m in seen) == 2048)
    cons = asker.ask(frames.lookup_cons(hint, asker.token(), asker.nonce(), 102, 103))
    refusal = asker.ask(frames.lookup_head(bytes(32), asker.token(), asker.nonce(), hop_limit=0))
    asker.close()
results.equal("a proof of 102 in 103", [(m.kind, m.m, m.n) for m in cons], [(frames.CONS, 102, 103)])
results.equal("a refusal", [(m.kind, m.reason) for m in refusal], [(frames.REFUSAL, 3)])
results.equal("chunks, each for itself", {m.offset: m.data for m in got if m.kind == frames.BLOB_DATA},
              {1024 * j: blob.window(1)[1024 * j:1024 * (j + 1)] for j in (4, 6)})
results.end()
PY
for n in c1 reader; do
	ip netns pids "$n" | xargs -r kill
done
wait
for dev in l r; do
	absorb python3 "$TESTS/stories/recorded.py" "$TMP/$dev.pcap" "$FEED"
done
if [ -n "${FEED_KEEP_PCAP:-}" ]; then
	cp "$TMP/l.pcap" "$TMP/r.pcap" "$FEED_KEEP_PCAP/"
fi

story_end

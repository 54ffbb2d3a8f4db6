// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Three nodes in a row, and what their stores must not hold.

use feed_core::engine::Role;

use super::{Author, Net, Rng};

/// A line of three nodes.
pub struct Line {
    pub net: Net,
    pub author: usize,
    pub cache: usize,
    pub reader: usize,
    pub feed: Author,
}

/// author — cache — reader, and their links; no routes yet, and nothing in the feed.
pub fn row(seed: u64, mtu: usize) -> (Line, [usize; 2]) {
    let mut net = Net::new(seed);
    let author = net.add(Role::Host);
    let cache = net.add(Role::Cache);
    let reader = net.add(Role::Host);
    let links = [
        net.link(&[author, cache], mtu),
        net.link(&[cache, reader], mtu),
    ];
    let line = Line {
        net,
        author,
        cache,
        reader,
        feed: Author::new(21),
    };
    (line, links)
}

/// author — cache — reader, with a filled feed.
pub fn line(seed: u64, mtu: usize, sizes: &[usize], entries: usize) -> Line {
    let (mut line, [up, down]) = row(seed, mtu);
    line.net.route(line.cache, up, None);
    line.net.route(line.reader, down, None);
    let author = &mut line.net.nodes[line.author];
    let mut rng = Rng(seed);
    for index in 0..entries {
        let payload = rng.bytes(sizes[index % sizes.len()]);
        line.feed.write(&mut author.world, &payload);
    }
    line.feed.publish(line.net.now, author, false);
    line
}

/// What was read is right, and nothing wrong lies in any store.
pub fn check_all(net: &mut Net, feed: &Author, got: &[(Vec<u8>, u8)]) {
    for (seq, (bytes, _)) in got.iter().enumerate() {
        assert!(*bytes == feed.payloads[seq], "entry {seq} is wrong");
    }
    let author = &net.nodes[0].world;
    for node in &net.nodes[1..] {
        node.world.check_blobs();
        for ((key, slot), bytes) in &node.world.slots {
            let right = author.slots.get(&(*key, *slot));
            // Leaves keep the hops that they came; all else is equal.
            let same = right.is_none_or(|right| {
                right == bytes
                    || (bytes.len() == 64
                        && right[..28] == bytes[..28]
                        && right[32..] == bytes[32..])
            });
            assert!(same, "a wrong {key:?} slot {slot} was stored");
        }
        for ((blob, window), (bytes, _)) in &node.world.blobs {
            let right = author.blobs.get(&(*blob, *window));
            assert!(
                right.is_none_or(|(right, _)| right == bytes),
                "a wrong blob window was stored"
            );
        }
    }
}

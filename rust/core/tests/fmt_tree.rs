// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Shape, roots and proofs against the recursive definitions of RFC 9162.
#![allow(non_snake_case)]

mod common;

#[path = "harness/property.rs"]
mod property;

use std::collections::HashMap;

use common::*;
use feed_core::id::{Hash, Hashes};
use feed_core::proof::*;
use feed_core::tree::{self, FeedTree, Node, Peaks, Pos, EXTEND_MAX};
use feed_core::Drop;
use property::property;
use proptest::prelude::*;

const MAX: u64 = 300;

/// Runs a verifier and returns the nodes that it told, each checked against the naive tree.
fn told(
    naive: &Naive,
    n: u64,
    verify: impl FnOnce(&mut dyn FnMut(Node, &Hash)) -> Result<(), Drop>,
) -> HashMap<Node, Hash> {
    let mut told = HashMap::new();
    verify(&mut |node, hash| {
        assert_eq!(Node::at(n, node.pos()), Some(node), "not in its one form");
        assert_eq!(naive.node(node), *hash, "wrong hash for {node:?}");
        told.insert(node, *hash);
    })
    .expect("an honest proof");
    told
}

#[test]
fn peaks__roots_as_the_recursive_definition() {
    let naive = Naive::new(leaf_hashes(MAX));
    let mut peaks = Peaks::new();
    let mut nodes = HashMap::new();
    for n in 0..=MAX {
        assert_eq!(peaks.root(), naive.root(n as usize), "n = {n}");
        assert_eq!(peaks.n(), n);
        peaks.edges(|node, hash| {
            assert_eq!(Node::at(n, node.pos()), Some(node));
            assert_eq!(naive.node(node), *hash);
        });
        if let Some(leaf) = naive.leaves.get(n as usize) {
            let sink = |pos, hash: &Hash| assert!(nodes.insert(Node::Full(pos), *hash).is_none());
            peaks.push(leaf, sink).unwrap();
        }
    }
    for (node, hash) in &nodes {
        assert_eq!(naive.node(*node), *hash);
    }
    // The nodes it told are all that a later start needs.
    for n in 0..=MAX {
        let mut loaded = Peaks::new();
        assert!(loaded.load(n, &mut |node| nodes.get(&node).copied()));
        assert_eq!(loaded.root(), naive.root(n as usize));
    }
}

/// The hashes of leaves, as [`Peaks::extend`] takes them.
fn level_of(leaves: &[Hash]) -> Vec<[u8; 32]> {
    let mut level = vec![[0xff; 32]];
    level.extend(leaves.iter().map(|leaf| leaf.0));
    level
}

#[test]
fn peaks__many_leaves_at_once_as_one_by_one() {
    let naive = Naive::new(leaf_hashes(MAX));
    for start in (0..=70).chain([127, 128, 250]) {
        for count in (0..=EXTEND_MAX).filter(|count| start + count <= MAX as usize) {
            let mut peaks = Peaks::new();
            let mut one_by_one = HashMap::new();
            let mut nodes = HashMap::new();
            let (before, added) = naive.leaves.split_at(start);
            for leaf in before {
                peaks.push(leaf, |_, _| ()).unwrap();
            }
            let mut other = peaks.clone();
            let added = &added[..count];
            for leaf in added {
                let sink = |pos, hash: &Hash| assert!(one_by_one.insert(pos, *hash).is_none());
                other.push(leaf, sink).unwrap();
            }
            peaks
                .extend(&FeedTree, &mut level_of(added), |first, hashes| {
                    for (index, hash) in (first.index..).zip(hashes.iter()) {
                        assert!(nodes.insert(Pos { index, ..first }, hash).is_none());
                    }
                })
                .unwrap();
            assert_eq!(nodes, one_by_one, "{count} after {start}");
            let n = (start + count) as u64;
            assert_eq!((peaks.n(), peaks.root()), (n, other.root()));
            assert_eq!(peaks.root(), naive.root(start + count));
        }
    }
}

/// An author whose head was refused goes on from the tree before it: a peak too many or too few would
/// be a second branch under his name.
#[test]
fn peaks__undo_what_was_added() {
    let naive = Naive::new(leaf_hashes(MAX));
    let mut peaks = Peaks::new();
    for (n, leaf) in naive.leaves.iter().enumerate() {
        for count in [0, 1, 2, 3, 7, 32, 33, EXTEND_MAX] {
            let wrong = vec![Hash([7; 32]); count];
            let mark = peaks
                .extend(&FeedTree, &mut level_of(&wrong), |_, _| ())
                .unwrap();
            assert_eq!(peaks.root() == naive.root(n), count == 0);
            peaks.undo(&mark);
            assert_eq!((peaks.n(), peaks.root()), (n as u64, naive.root(n)));
        }
        peaks.push(leaf, |_, _| ()).unwrap();
        assert_eq!(peaks.root(), naive.root(n + 1), "after it, n = {n}");
    }
}

#[test]
fn peaks__too_many_leaves_change_nothing() {
    let mut peaks = Peaks::new();
    peaks.push(&Hash([1; 32]), |_, _| ()).unwrap();
    let root = peaks.root();
    let mut level = level_of(&[Hash([2; 32]); EXTEND_MAX + 1]);
    let refused = peaks.extend(&FeedTree, &mut level, |_, _| panic!("nothing is complete"));
    assert_eq!(refused.err(), Some(Drop::OutOfRange));
    assert_eq!((peaks.n(), peaks.root()), (1, root));
}

#[test]
fn peaks__full_feed_takes_no_more() {
    let mut peaks = Peaks::new();
    assert!(peaks.load(1 << 36, &mut |_| Some(Hash::ZERO)));
    assert_eq!(peaks.push(&Hash::ZERO, |_, _| ()), Err(Drop::OutOfRange));
}

#[test]
fn node_at__one_form_for_each_range() {
    for n in 1..=MAX {
        let mut by_range = HashMap::new();
        for level in 0..=10u8 {
            for index in 0..n {
                let start = index << level;
                let Some(node) = Node::at(n, Pos { level, index }) else {
                    assert!(start >= n);
                    continue;
                };
                let range = (start, n.min((index + 1) << level));
                assert_eq!(*by_range.entry(range).or_insert(node), node);
                if let Some((left, right)) = node.children() {
                    assert_eq!(left.pos().start(), start);
                    assert_eq!(Node::at(n, right.pos()), Some(right));
                }
            }
        }
    }
    assert_eq!(Node::at(0, Pos::leaf(0)), None);
    assert_eq!(Node::top(0), None);
}

#[test]
fn inclusion__as_rfc_9162_for_all_small_trees() {
    let naive = Naive::new(leaf_hashes(MAX));
    for n in 1..=MAX {
        let root = naive.root(n as usize);
        for seq in 0..n {
            let proof = naive.path(seq as usize, n as usize);
            let nodes = tree::inclusion_nodes(n, seq).map(|node| naive.node(node));
            assert_eq!(nodes.collect::<Vec<_>>(), proof);
            let bytes = bytes_of(&proof);
            let leaf = naive.leaves[seq as usize];
            told(&naive, n, |sink| {
                verify_inclusion(&leaf, seq, n, view(&bytes), &root, sink)
            });
        }
    }
}

#[test]
fn consistency__as_rfc_9162_but_with_its_first_hash_always() {
    let naive = Naive::new(leaf_hashes(MAX));
    for n in 1..=MAX {
        for m in 1..n {
            let proof = naive.subproof(m as usize, n as usize, false);
            let standard = naive.subproof(m as usize, n as usize, true);
            if m.is_power_of_two() {
                assert_eq!(proof[1..], standard);
            } else {
                assert_eq!(proof, standard);
            }
            let nodes = tree::consistency_nodes(m, n).map(|node| naive.node(node));
            assert_eq!(nodes.collect::<Vec<_>>(), proof);
            let bytes = bytes_of(&proof);
            let (root_m, root_n) = (naive.root(m as usize), naive.root(n as usize));
            told(&naive, n, |sink| {
                verify_cons(m, &root_m, n, &root_n, view(&bytes), sink)
            });
        }
    }
}

#[test]
fn page_and_path__make_every_node_of_the_window_known() {
    let naive = Naive::new(leaf_hashes(MAX));
    for n in 1..=MAX {
        let root = naive.root(n as usize);
        for (window, page) in (0u64..).zip(naive.leaves[..n as usize].chunks(32)) {
            let path: Vec<_> = tree::path_nodes(n, window)
                .map(|node| naive.node(node))
                .collect();
            let (page, path) = (bytes_of(page), bytes_of(&path));
            let (page, path) = (view(&page), view(&path));
            let top = window_root(page);
            told(&naive, n, |sink| {
                verify_path(&top, window, n, path, &root, sink)
            });
            told(&naive, n, |sink| {
                verify_page_in(page, window, n, &top, sink)
            });
            let known = told(&naive, n, |sink| {
                verify_page(page, window, n, path, &root, sink)
            });
            // With them every entry of the window can be proved to others.
            for seq in window * 32..(window * 32 + 32).min(n) {
                for node in tree::inclusion_nodes(n, seq) {
                    assert!(known.contains_key(&node), "{node:?} of {seq} in {n}");
                }
            }
        }
    }
}

#[test]
fn proofs__one_valid_length() {
    let naive = Naive::new(leaf_hashes(70));
    for n in 1..=70 {
        let root = naive.root(n);
        for seq in [0, n / 2, n - 1] {
            let mut proof = naive.path(seq, n);
            let run = |proof: &[Hash]| {
                let bytes = bytes_of(proof);
                let leaf = naive.leaves[seq];
                verify_inclusion(
                    &leaf,
                    seq as u64,
                    n as u64,
                    view(&bytes),
                    &root,
                    |_, _| unreachable!(),
                )
            };
            proof.push(root);
            assert_eq!(run(&proof), Err(Drop::ProofLength));
            proof.pop();
            if proof.pop().is_some() {
                assert_eq!(run(&proof), Err(Drop::ProofLength));
            }
        }
    }
}

#[test]
fn proofs__nonsense_places_are_out_of_range() {
    let root = keyed("any", b"");
    let leaf = leaf(0).hash();
    let never = |_: Node, _: &Hash| unreachable!();
    for (seq, n) in [
        (5, 5),
        (u64::MAX, 5),
        (0, 0),
        (0, (1 << 36) + 1),
        (u64::MAX, u64::MAX),
    ] {
        assert_eq!(
            verify_inclusion(&leaf, seq, n, Hashes::NONE, &root, never),
            Err(Drop::OutOfRange)
        );
    }
    for (window, n) in [(1, 5), (u64::MAX, 5), (1 << 59, 5), (0, 0)] {
        assert_eq!(
            verify_path(&leaf, window, n, Hashes::NONE, &root, never),
            Err(Drop::OutOfRange)
        );
    }
    for (m, n) in [
        (0, 5),
        (5, 5),
        (6, 5),
        (1, (1 << 36) + 1),
        (u64::MAX, u64::MAX),
    ] {
        assert_eq!(
            verify_cons(m, &root, n, &root, Hashes::NONE, never),
            Err(Drop::OutOfRange)
        );
    }
    assert_eq!(
        verify_page(Hashes::NONE, 1, 5, Hashes::NONE, &root, never),
        Err(Drop::ProofLength)
    );
}

/// Every input of every verifier, each with every bit flipped.
#[test]
fn proofs__any_flipped_bit_is_rejected() {
    const N: u64 = 77;
    let naive = Naive::new(leaf_hashes(N));
    let root = naive.root(N as usize);
    let n = N.to_le_bytes();
    let never = |_: Node, _: &Hash| unreachable!();
    let hash = |bytes: &[u8]| Hash(bytes.try_into().unwrap());
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());

    type Verifier<'a> = &'a dyn Fn(&[Vec<u8>]) -> Result<(), Drop>;
    let flip_each = |inputs: &[&[u8]], verify: Verifier<'_>| {
        let mut copy: Vec<Vec<u8>> = inputs.iter().map(|input| input.to_vec()).collect();
        for (which, input) in inputs.iter().enumerate() {
            for flipped in flips(input) {
                copy[which] = flipped;
                let verdict = verify(&copy);
                assert!(
                    matches!(
                        verdict,
                        Err(Drop::ProofMismatch | Drop::ProofLength | Drop::OutOfRange)
                    ),
                    "input {which}: {verdict:?}"
                );
            }
            copy[which] = input.to_vec();
        }
    };

    for seq in [0u64, 40, 76] {
        let proof = bytes_of(&naive.path(seq as usize, N as usize));
        let leaf = naive.leaves[seq as usize];
        flip_each(&[&leaf.0, &seq.to_le_bytes(), &n, &proof, &root.0], &|i| {
            verify_inclusion(
                &hash(&i[0]),
                number(&i[1]),
                number(&i[2]),
                view(&i[3]),
                &hash(&i[4]),
                never,
            )
        });
    }
    for (window, page) in (0u64..).zip(naive.leaves.chunks(32)) {
        let path: Vec<_> = tree::path_nodes(N, window)
            .map(|node| naive.node(node))
            .collect();
        let (page, path, window) = (bytes_of(page), bytes_of(&path), window.to_le_bytes());
        let top = window_root(view(&page));
        flip_each(&[&top.0, &window, &n, &path, &root.0], &|i| {
            verify_path(
                &hash(&i[0]),
                number(&i[1]),
                number(&i[2]),
                view(&i[3]),
                &hash(&i[4]),
                never,
            )
        });
        flip_each(&[&page, &window, &n, &path, &root.0], &|i| {
            verify_page(
                view(&i[0]),
                number(&i[1]),
                number(&i[2]),
                view(&i[3]),
                &hash(&i[4]),
                never,
            )
        });
        flip_each(&[&page, &top.0], &|i| {
            verify_page_in(view(&i[0]), number(&window), N, &hash(&i[1]), never)
        });
    }
    for m in [1u64, 32, 45, 64, 76] {
        let proof = bytes_of(&naive.subproof(m as usize, N as usize, false));
        let root_m = naive.root(m as usize);
        flip_each(&[&m.to_le_bytes(), &root_m.0, &n, &root.0, &proof], &|i| {
            verify_cons(
                number(&i[0]),
                &hash(&i[1]),
                number(&i[2]),
                &hash(&i[3]),
                view(&i[4]),
                never,
            )
        });
    }
}

#[test]
fn consistency__rejects_a_tree_that_was_changed() {
    let old = Naive::new(leaf_hashes(40));
    for changed in [0, 17, 39] {
        let mut leaves = leaf_hashes(60);
        leaves[changed] = leaf(1000).hash();
        let new = Naive::new(leaves);
        let proof = bytes_of(&new.subproof(40, 60, false));
        let never = |_: Node, _: &Hash| unreachable!();
        let verdict = verify_cons(40, &old.root(40), 60, &new.root(60), view(&proof), never);
        assert_eq!(verdict, Err(Drop::ProofMismatch));
    }
}

#[test]
fn resolve__from_leaves_within_five_levels() {
    let naive = Naive::new(leaf_hashes(MAX));
    for n in 1..=MAX {
        // A store with leaves and full window roots: all that is stored for certain.
        let mut held = |node: Node| {
            matches!(node, Node::Full(Pos { level: 0 | 5, .. })).then(|| naive.node(node))
        };
        for level in 0..9 {
            for index in 0..=n >> level {
                if let Some(node) = Node::at(n, Pos { level, index }) {
                    let got = tree::resolve(&FeedTree, &mut held, node);
                    assert_eq!(got, Some(naive.node(node)), "{node:?}");
                }
            }
        }
    }
}

#[test]
fn resolve__bounded_and_honest_about_what_is_missing() {
    let mut reads = 0;
    let nothing = &mut |_: Node| {
        reads += 1;
        None
    };
    for n in [1, 33, (1 << 36) - 1, 1 << 36] {
        let top = Node::top(n).unwrap();
        assert_eq!(tree::resolve(&FeedTree, nothing, top), None);
    }
    assert!(reads < 4 * 8, "{reads} reads of an empty store");
    let mut most = 0;
    let leaves_only = &mut |node: Node| {
        most += 1;
        matches!(node, Node::Full(Pos { level: 0, .. })).then_some(Hash::ZERO)
    };
    assert!(tree::resolve(
        &FeedTree,
        leaves_only,
        Node::Full(Pos { level: 5, index: 3 })
    )
    .is_some());
    assert_eq!(most, 63);
}

proptest! {
    #![proptest_config(property(64))]

    /// Trees of up to 2^36 leaves, of which only a few are known.
    #[test]
    fn big_trees__prove_what_they_hold(
        n in prop_oneof![1u64..=1 << 36, (0u32..=36).prop_map(|bits| 1u64 << bits), Just((1 << 36) - 1)],
        picks in prop::collection::vec(any::<u64>(), 1..4),
        cut in any::<u64>(),
    ) {
        let m = cut % n;
        // The last leaf of the shorter tree is its own, so that both trees part at the same places.
        let known = picks.iter().map(|p| p % n).chain(m.checked_sub(1));
        let tree = Sparse { n, leaves: known.map(|seq| (seq, leaf(seq).hash())).collect() };
        let root = tree.root();
        for (&seq, hash) in &tree.leaves {
            let proof = tree.proof(tree::inclusion_nodes(n, seq));
            prop_assert!(proof.len() <= 36 * 32);
            let mut told = Vec::new();
            verify_inclusion(hash, seq, n, view(&proof), &root, |node, hash| told.push((node, *hash))).unwrap();
            for (node, hash) in told {
                prop_assert_eq!(tree.at(node), hash);
            }
            let path = tree.proof(tree::path_nodes(n, seq / 32));
            prop_assert!(path.len() <= 31 * 32);
            let top = tree.at(Node::at(n, tree::window_pos(seq / 32)).unwrap());
            verify_path(&top, seq / 32, n, view(&path), &root, |_, _| ()).unwrap();
        }
        if m > 0 {
            let proof = tree.proof(tree::consistency_nodes(m, n));
            prop_assert!(proof.len() <= 37 * 32);
            let old = crate::root(m, &tree.hash(0, m));
            verify_cons(m, &old, n, &root, view(&proof), |_, _| ()).unwrap();
            let verdict = verify_cons(m, &root, n, &root, view(&proof), |_, _| ());
            prop_assert_eq!(verdict, Err(Drop::ProofMismatch));
        }
    }

    #[test]
    fn resolve__edges_of_big_trees(n in 1u64..=1 << 36, pick in any::<u64>()) {
        let tree = Sparse { n, leaves: HashMap::new() };
        let mut held = |node: Node| matches!(node, Node::Full(_)).then(|| tree.at(node));
        for node in tree::inclusion_nodes(n, pick % n) {
            prop_assert_eq!(tree::resolve(&FeedTree, &mut held, node), Some(tree.at(node)));
        }
    }
}

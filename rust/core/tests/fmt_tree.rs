// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Shape, roots and proofs against the recursive definitions of RFC 9162.
#![allow(non_snake_case)]

mod common;

use std::collections::HashMap;

use common::*;
use feed_core::id::{Hash, Hashes};
use feed_core::proof::*;
use feed_core::tree::{self, FeedTree, Node, Peaks, Pos};
use feed_core::Drop;
use proptest::prelude::*;

const MAX: u64 = 300;

/// Runs a verifier and returns the nodes that it told, each checked against the naive tree.
fn told(
    leaves: &[Hash],
    verify: impl FnOnce(&mut dyn FnMut(Node, &Hash)) -> Result<(), Drop>,
) -> HashMap<Node, Hash> {
    let mut told = HashMap::new();
    let n = leaves.len() as u64;
    verify(&mut |node, hash| {
        assert_eq!(Node::at(n, node.pos()), Some(node), "not in its one form");
        assert_eq!(node_hash(leaves, node), *hash, "wrong hash for {node:?}");
        told.insert(node, *hash);
    })
    .expect("an honest proof");
    told
}

#[test]
fn peaks__roots_as_the_recursive_definition() {
    let leaves = leaf_hashes(MAX);
    let mut peaks = Peaks::new();
    let mut nodes = HashMap::new();
    for n in 0..=leaves.len() {
        assert_eq!(peaks.root(), root_of(&leaves[..n]), "n = {n}");
        assert_eq!(peaks.n(), n as u64);
        peaks.edges(|node, hash| {
            assert_eq!(Node::at(n as u64, node.pos()), Some(node));
            assert_eq!(node_hash(&leaves[..n], node), *hash);
        });
        if let Some(leaf) = leaves.get(n) {
            peaks
                .push(leaf, |pos, hash| {
                    assert!(nodes.insert(Node::Full(pos), *hash).is_none())
                })
                .unwrap();
        }
    }
    for (node, hash) in &nodes {
        assert_eq!(node_hash(&leaves, *node), *hash);
    }
    // The nodes it told are all that a later start needs.
    for n in 0..=MAX {
        let loaded = Peaks::load(n, &mut |node| nodes.get(&node).copied()).unwrap();
        assert_eq!(loaded.root(), root_of(&leaves[..n as usize]));
    }
}

#[test]
fn peaks__full_feed_takes_no_more() {
    let mut peaks = Peaks::load(1 << 36, &mut |_| Some(Hash::ZERO)).unwrap();
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
    let leaves = leaf_hashes(MAX);
    for n in 1..=leaves.len() {
        let tree = &leaves[..n];
        let root = root_of(tree);
        for seq in 0..n {
            let proof = path(seq, tree);
            let nodes: Vec<_> = tree::inclusion_nodes(n as u64, seq as u64).collect();
            let bytes = bytes_of(&proof);
            assert_eq!(nodes.len(), proof.len());
            for (node, hash) in nodes.iter().zip(&proof) {
                assert_eq!(node_hash(tree, *node), *hash);
            }
            told(tree, |sink| {
                verify_inclusion(&tree[seq], seq as u64, n as u64, view(&bytes), &root, sink)
            });
        }
    }
}

#[test]
fn consistency__as_rfc_9162_but_with_its_first_hash_always() {
    let leaves = leaf_hashes(MAX);
    for n in (1..=leaves.len()).filter(|n| *n < 70 || n % 7 == 0) {
        let tree = &leaves[..n];
        for m in 1..n {
            let proof = subproof(m, tree, false);
            let standard = subproof(m, tree, true);
            if m.is_power_of_two() {
                assert_eq!(proof[1..], standard);
            } else {
                assert_eq!(proof, standard);
            }
            let nodes: Vec<_> = tree::consistency_nodes(m as u64, n as u64).collect();
            assert_eq!(nodes.len(), proof.len());
            for (node, hash) in nodes.iter().zip(&proof) {
                assert_eq!(node_hash(tree, *node), *hash);
            }
            let bytes = bytes_of(&proof);
            let (root_m, root_n) = (root_of(&tree[..m]), root_of(tree));
            told(tree, |sink| {
                verify_cons(m as u64, &root_m, n as u64, &root_n, view(&bytes), sink)
            });
        }
    }
}

#[test]
fn page_and_path__make_every_node_of_the_window_known() {
    let leaves = leaf_hashes(MAX);
    for n in 1..=leaves.len() {
        let tree = &leaves[..n];
        let root = root_of(tree);
        for (window, page) in tree.chunks(32).enumerate() {
            let window = window as u64;
            let path: Vec<_> = tree::path_nodes(n as u64, window)
                .map(|node| node_hash(tree, node))
                .collect();
            let (page, path) = (bytes_of(page), bytes_of(&path));
            let (page, path) = (view(&page), view(&path));
            let window_hash = window_root(page);
            told(tree, |sink| {
                verify_path(&window_hash, window, n as u64, path, &root, sink)
            });
            told(tree, |sink| {
                verify_page_in(page, window, n as u64, &window_hash, sink)
            });
            let known = told(tree, |sink| {
                verify_page(page, window, n as u64, path, &root, sink)
            });
            // With them every entry of the window can be proved to others.
            for seq in window * 32..(window * 32 + 32).min(n as u64) {
                for node in tree::inclusion_nodes(n as u64, seq) {
                    assert!(known.contains_key(&node), "{node:?} of {seq} in {n}");
                }
            }
        }
    }
}

#[test]
fn proofs__one_valid_length() {
    let leaves = leaf_hashes(70);
    for n in 1..=leaves.len() {
        let tree = &leaves[..n];
        let root = root_of(tree);
        for seq in [0, n / 2, n - 1] {
            let mut proof = path(seq, tree);
            let run = |proof: &[Hash]| {
                let bytes = bytes_of(proof);
                verify_inclusion(
                    &tree[seq],
                    seq as u64,
                    n as u64,
                    view(&bytes),
                    &root,
                    |_, _| unreachable!(),
                )
            };
            proof.push(tree[0]);
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
    let root = root_of(&leaf_hashes(5));
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
    let leaves = leaf_hashes(77);
    let n = leaves.len() as u64;
    let root = root_of(&leaves);
    let never = |_: Node, _: &Hash| unreachable!();
    let hash = |bytes: &[u8]| Hash(bytes.try_into().unwrap());
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());

    let flip_each = |inputs: &[&[u8]], verify: &dyn Fn(&[Vec<u8>]) -> Result<(), Drop>| {
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
        let proof = bytes_of(&path(seq as usize, &leaves));
        flip_each(
            &[
                &leaves[seq as usize].0,
                &seq.to_le_bytes(),
                &n.to_le_bytes(),
                &proof,
                &root.0,
            ],
            &|i| {
                verify_inclusion(
                    &hash(&i[0]),
                    number(&i[1]),
                    number(&i[2]),
                    view(&i[3]),
                    &hash(&i[4]),
                    never,
                )
            },
        );
    }
    for window in 0..3u64 {
        let page = bytes_of(leaves.chunks(32).nth(window as usize).unwrap());
        let path: Vec<_> = tree::path_nodes(n, window)
            .map(|node| node_hash(&leaves, node))
            .collect();
        let top = window_root(view(&page));
        let (path, window, n) = (bytes_of(&path), window.to_le_bytes(), n.to_le_bytes());
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
            verify_page_in(
                view(&i[0]),
                number(&window),
                number(&n),
                &hash(&i[1]),
                never,
            )
        });
    }
    for m in [1u64, 32, 45, 64, 76] {
        let proof = bytes_of(&subproof(m as usize, &leaves, false));
        let root_m = root_of(&leaves[..m as usize]);
        flip_each(
            &[
                &m.to_le_bytes(),
                &root_m.0,
                &n.to_le_bytes(),
                &root.0,
                &proof,
            ],
            &|i| {
                verify_cons(
                    number(&i[0]),
                    &hash(&i[1]),
                    number(&i[2]),
                    &hash(&i[3]),
                    view(&i[4]),
                    never,
                )
            },
        );
    }
}

#[test]
fn consistency__rejects_a_tree_that_was_changed() {
    let old = leaf_hashes(40);
    for changed in [0, 17, 39] {
        let mut new = leaf_hashes(60);
        new[changed] = leaf(1000).hash();
        let proof = bytes_of(&subproof(old.len(), &new, false));
        let verdict = verify_cons(
            40,
            &root_of(&old),
            60,
            &root_of(&new),
            view(&proof),
            |_, _| unreachable!(),
        );
        assert_eq!(verdict, Err(Drop::ProofMismatch));
    }
}

#[test]
fn resolve__from_leaves_within_five_levels() {
    let leaves = leaf_hashes(MAX);
    for n in 1..=MAX {
        let tree = &leaves[..n as usize];
        // A store with leaves and window roots: all that is stored for certain.
        let mut reads = 0;
        let mut held = |node: Node| {
            reads += 1;
            matches!(node, Node::Full(Pos { level: 0 | 5, .. })).then(|| node_hash(tree, node))
        };
        for level in 0..9 {
            for index in 0..n {
                if let Some(node) = Node::at(n, Pos { level, index }) {
                    let got = tree::resolve(&FeedTree, &mut held, node);
                    assert_eq!(got, Some(node_hash(tree, node)), "{node:?}");
                }
            }
        }
        assert!(reads > 0);
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
    #![proptest_config(ProptestConfig::with_cases(64))]

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

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The golden vectors, one JSON document per topic, from the fixed seeds of `samples`.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the generator and the test use different parts"
)]

use feed_core::blob;
use feed_core::cookie;
use feed_core::grant::SignedGrant;
use feed_core::head::{Head, SignedHead};
use feed_core::id::FeedText;
use feed_core::siphash::{siphash24, SipKey};
use feed_core::token::{Binding, Token, MAC_GROUP};
use feed_core::tree::{self, Node, Peaks, Pos};
use feed_core::wire::Message;
use serde_json::{json, Value};

use crate::samples::*;

fn list(hashes: &[u8]) -> Vec<String> {
    hashes.chunks(32).map(hex::encode).collect()
}

fn place(node: Node) -> Value {
    let Pos { level, index } = node.pos();
    match node {
        Node::Full(_) => json!({ "level": level, "index": index }),
        Node::Edge { n, .. } => json!({ "level": level, "index": index, "cut_at": n }),
    }
}

/// File name and contents of every document.
pub fn documents() -> Vec<(&'static str, Value)> {
    vec![
        ("names.json", names()),
        ("leaves.json", leaf_vectors()),
        ("roots.json", roots()),
        ("heads.json", heads()),
        ("grants.json", grants()),
        ("proofs.json", proofs()),
        ("blobs.json", blobs()),
        ("frames.json", frames()),
        ("links.json", links()),
    ]
}

/// The text of a document as it lies in the tree.
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

fn names() -> Value {
    let of = |bytes: [u8; 32]| {
        let key = seed(bytes).public_key();
        let name = feed_core::id::Name(key.0);
        json!({
            "seed": hex::encode(bytes),
            "name": hex::encode(name.0),
            "text": FeedText { name, seq: None }.to_string(),
            "text_of_entry_5": FeedText { name, seq: Some(5) }.to_string(),
            "discovery_id": hex::encode(name.id().0),
            "discovery_id_period_1": hex::encode(name.discovery_id(0, 1).0),
        })
    };
    json!({
        "about": "An Ed25519 seed, the feed's name, its text form and its discovery ids.",
        "names": [of(NAME_SEED), of(WORK_SEED)],
    })
}

fn leaf_vectors() -> Value {
    let all: Vec<_> = leaves(70)
        .iter()
        .map(|leaf| {
            json!({
                "seq": leaf.seq,
                "offset": leaf.offset,
                "time": leaf.time,
                "len": leaf.len,
                "flags": leaf.flags,
                "payload": String::from_utf8(entry(leaf.seq)).unwrap(),
                "blob": hex::encode(leaf.blob.0),
                "bytes": hex::encode(leaf.to_bytes()),
                "hash": hex::encode(leaf.hash().0),
            })
        })
        .collect();
    json!({ "about": "The leaves of the sample feed. Every tenth entry is empty.", "leaves": all })
}

fn roots() -> Value {
    let mut peaks = Peaks::new();
    let mut all = vec![json!({ "n": 0, "root": hex::encode(peaks.root().0) })];
    for leaf in leaves(70) {
        peaks.push(&leaf.hash(), |_, _| ()).unwrap();
        all.push(json!({
            "n": peaks.n(),
            "top": hex::encode(peaks.top().unwrap().0),
            "root": hex::encode(peaks.root().0),
        }));
    }
    json!({ "about": "Top node and root of the first n leaves of leaves.json.", "roots": all })
}

fn head_json(what: &str, signed: &SignedHead, key: [u8; 32]) -> Value {
    let Head {
        flags,
        epoch,
        n,
        time,
        next_by,
        name,
        root,
    } = signed.head;
    json!({
        "what": what,
        "flags": flags,
        "epoch": epoch,
        "n": n,
        "time": time,
        "next_by": next_by,
        "name": hex::encode(name.0),
        "root": hex::encode(root.0),
        "signer": hex::encode(key),
        "bytes": hex::encode(signed.bytes),
    })
}

fn heads() -> Value {
    json!({
        "about": "Heads with their signatures, and the key that each verifies with.",
        "heads": [
            head_json("empty", &Feed::new(0).head(), name().0),
            head_json("one entry", &Feed::new(1).head(), name().0),
            head_json("seventy entries", &Feed::new(70).head(), name().0),
            head_json("final, of epoch 1", &final_head(), work_key().0),
        ],
    })
}

fn grants() -> Value {
    let SignedGrant { grant, bytes } = grant();
    json!({
        "about": "A grant with its signature by the name key.",
        "grants": [{
            "flags": grant.flags,
            "epoch": grant.epoch,
            "base_n": grant.base_n,
            "time": grant.time,
            "not_after": grant.not_after,
            "name": hex::encode(grant.name.0),
            "base_root": hex::encode(grant.base_root.0),
            "key": hex::encode(grant.key.0),
            "bytes": hex::encode(bytes),
        }],
    })
}

fn proofs() -> Value {
    let mut inclusion = Vec::new();
    let mut paths = Vec::new();
    let mut consistency = Vec::new();
    for n in [1u64, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 70] {
        let feed = Feed::new(n);
        let mut seqs = vec![0, n / 2, n - 1];
        seqs.dedup();
        for seq in seqs {
            inclusion.push(json!({
                "n": n,
                "seq": seq,
                "nodes": tree::inclusion_nodes(n, seq).map(place).collect::<Vec<_>>(),
                "siblings": list(&feed.proof(tree::inclusion_nodes(n, seq))),
            }));
        }
        for window in 0..n.div_ceil(32) {
            paths.push(json!({
                "n": n,
                "window": window,
                "nodes": tree::path_nodes(n, window).map(place).collect::<Vec<_>>(),
                "siblings": list(&feed.proof(tree::path_nodes(n, window))),
                "page": list(&feed.page(window)),
            }));
        }
        for m in [1u64, 2, 3, 4, 6, 8, 20, 32, 33, 48, 64, 69]
            .into_iter()
            .filter(|m| *m < n)
        {
            consistency.push(json!({
                "m": m,
                "n": n,
                "nodes": tree::consistency_nodes(m, n).map(place).collect::<Vec<_>>(),
                "hashes": list(&feed.proof(tree::consistency_nodes(m, n))),
            }));
        }
    }
    // The shape alone, for trees too large to list.
    let shapes: Vec<_> = [
        (1u64 << 36, 0u64),
        (1 << 36, (1 << 36) - 1),
        ((1 << 36) - 1, (1 << 36) - 2),
        (1_000_003, 999_999),
    ]
    .into_iter()
    .map(|(n, seq)| {
        json!({
            "n": n,
            "seq": seq,
            "inclusion": tree::inclusion_nodes(n, seq).map(place).collect::<Vec<_>>(),
            "path": tree::path_nodes(n, seq / 32).map(place).collect::<Vec<_>>(),
            "consistency_from_seq": tree::consistency_nodes(seq, n).map(place).collect::<Vec<_>>(),
        })
    })
    .collect();
    json!({
        "about": "Proofs in trees of the first n leaves of leaves.json. A node with cut_at covers no leaf from there on.",
        "inclusion": inclusion,
        "windows": paths,
        "consistency": consistency,
        "shapes": shapes,
    })
}

fn blobs() -> Value {
    let of = |len: usize| {
        let bytes = payload(len);
        let (name, nodes) = blob_of(&bytes);
        let windows: Vec<_> = (0..blob::window_count(name.len))
            .map(|window| {
                let page = blob_page(&bytes, window);
                let hashes = feed_core::id::Hashes::new(&page).unwrap();
                json!({
                    "window": window,
                    "hash": hex::encode(blob::page_hash(name.len, hashes).0),
                    "page": list(&page),
                    "path": list(&blob_path(&name, &nodes, window)),
                })
            })
            .collect();
        json!({ "len": len, "hash": hex::encode(name.hash.0), "windows": windows })
    };
    let lengths = [0, 1, 1024, 1025, 32768, 32769, 65536, 100_000];
    json!({
        "about": "Blobs whose byte i is i mod 251. Of a blob of one window its hash is the blob's, and of a blob of one chunk so is the page's only one.",
        "blobs": lengths.map(of),
    })
}

fn frames() -> Value {
    let all: Vec<_> = messages()
        .iter()
        .map(|(name, message)| {
            let bytes = frame_of(message);
            json!({ "what": name, "type": bytes[24], "bytes": hex::encode(bytes), "fields": fields(message) })
        })
        .collect();
    json!({
        "about": "Frames of one message each, without Ethernet header. Answers are about the first 70 leaves and the blob of 100,000 bytes.",
        "frames": all,
    })
}

/// The fields that differ from message to message.
fn fields(message: &Message<'_>) -> Value {
    match message {
        Message::Refusal(m) => json!({ "reason": m.reason as u8 }),
        Message::Head(m) => json!({ "hops": m.answer.hops, "unchecked": m.unchecked }),
        Message::Grant(m) => json!({ "hops": m.answer.hops }),
        Message::Cons(m) => {
            json!({ "epoch": m.epoch, "m": m.m, "n": m.n, "hashes": list(m.hashes.as_bytes()) })
        }
        Message::Path(m) => {
            json!({ "epoch": m.epoch, "n": m.n, "window": m.window, "siblings": list(m.siblings.as_bytes()) })
        }
        Message::Page(m) => {
            json!({ "epoch": m.epoch, "n": m.n, "window": m.window, "leaves": list(m.leaves.as_bytes()) })
        }
        Message::Entry(m) => json!({
            "epoch": m.epoch,
            "n": m.n,
            "leaf": hex::encode(m.leaf.to_bytes()),
            "siblings": m.siblings.map(|siblings| list(siblings.as_bytes())),
            "payload": m.payload.map(|payload| hex::encode(payload.bytes())),
        }),
        Message::BlobPath(m) => {
            json!({ "window": m.window, "siblings": list(m.siblings.as_bytes()) })
        }
        Message::BlobPage(m) => json!({ "window": m.window, "chunks": list(m.chunks.as_bytes()) }),
        Message::BlobData(m) => {
            json!({ "window": m.window, "offset": m.offset, "len": m.payload.len() })
        }
        Message::LookupHead(m) => json!({
            "at_least_epoch": m.at_least_epoch,
            "held_epoch": m.held_epoch,
            "at_least_n": m.at_least_n,
            "held_n": m.held_n,
            "max_age_ms": m.max_age_ms,
        }),
        Message::LookupRange(m) => json!({
            "leaf_only": m.leaf_only,
            "epoch": m.epoch,
            "want": m.want,
            "n": m.n,
            "window": m.window,
            "have_path": m.have_path,
            "have_page": m.have_page,
        }),
        Message::LookupCons(m) => json!({ "epoch": m.epoch, "m": m.m, "n": m.n }),
        Message::LookupBlob(m) => json!({
            "chunk_mode": m.chunk_mode,
            "blob": hex::encode(m.blob.hash.0),
            "blob_len": m.blob.len,
            "window": m.window,
            "have_path": m.have_path,
            "have_page": m.have_page,
            "want": m.want,
        }),
        Message::Follow(m) => json!({ "epoch": m.epoch, "grant_bytes": m.grant_bytes, "n": m.n }),
    }
}

fn links() -> Value {
    let SipKey([k0, k1]) = SECRET;
    let bytes: Vec<u8> = (0..64).collect();
    let sip: Vec<_> = (0..64)
        .map(|len| siphash24(&SECRET, &[&bytes[..len]]).to_string())
        .collect();
    let id = id();
    let token = |mac: [u8; 6], slot, generation| {
        let token = Token::new(
            &SECRET,
            &Binding {
                port: PORT,
                mac,
                id: id.as_bytes(),
            },
            slot,
            generation,
        );
        json!({
            "port": PORT,
            "mac": hex::encode(mac),
            "id": hex::encode(id.0),
            "slot": slot,
            "generation": generation,
            "tag": token.tag,
            "token": token.to_u64().to_string(),
        })
    };
    let cookie = |now_ms| {
        json!({
            "port": PORT,
            "mac": hex::encode(MAC),
            "now_ms": now_ms,
            "cookie": cookie::cookie(&SECRET, PORT, &MAC, now_ms).to_string(),
        })
    };
    json!({
        "about": "How this implementation makes tokens and cookies; others need not. Numbers over 2^53 are texts.",
        "secret": [k0.to_string(), k1.to_string()],
        "siphash_2_4_of_the_bytes_0_to_length": sip,
        "tokens": [token(MAC, 0, 0), token(MAC, 0x01_0203, 0x44), token(MAC_GROUP, 0xff_ffff, 0xff)],
        "cookies": [cookie(0), cookie(299_999), cookie(300_000), cookie(TIME)],
    })
}

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Prints userspace/c/tests/vector.h: one genuine entry of a feed of seven, with its proof.

use feed_core::head::Head;
use feed_core::id::{Hash, Name};
use feed_core::leaf::Leaf;
use feed_core::sign::{Seed, tag32};

const PAYLOAD: &[u8] = b"the sixth entry";

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(&tag32(b"AF_FEED 1 node"), &[*left, *right].concat()).as_bytes()
}

fn array(name: &str, bytes: &[u8]) {
    println!("\nstatic const uint8_t {name}[{}] = {{", bytes.len());
    rows(bytes);
    println!("}};");
}

fn rows(bytes: &[u8]) {
    for row in bytes.chunks(12) {
        let row: Vec<_> = row.iter().map(|byte| format!("0x{byte:02x}")).collect();
        println!("\t{},", row.join(", "));
    }
}

fn main() -> Result<(), feed_core::Drop> {
    let seed = Seed::new([0x5e; 32])?;
    let name = Name(seed.public_key().0);
    let leaves: Vec<Leaf> = (0..7)
        .map(|seq| Leaf {
            seq,
            offset: 15 * seq,
            time: 1_700_000_000_000 + seq,
            len: 15,
            flags: 0x1234,
            blob: Hash(*blake3::hash(PAYLOAD).as_bytes()),
        })
        .collect();
    let h: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.hash().0).collect();
    // Seven leaves: ((01)(23))((45)6). The proof of 5 is 4, 6, and the left half.
    let left = node(&node(&h[0], &h[1]), &node(&h[2], &h[3]));
    let top = node(&left, &node(&node(&h[4], &h[5]), &h[6]));
    let root = blake3::keyed_hash(
        &tag32(b"AF_FEED 1 root"),
        &[&7u64.to_le_bytes()[..], &top].concat(),
    );
    let head = Head {
        flags: 0,
        epoch: 0,
        n: 7,
        time: 1_700_000_001_000,
        next_by: 0,
        name,
        root: Hash(*root.as_bytes()),
    };
    println!("/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */");
    println!("/* Made by: cargo run -p feed_verify --example vector */");
    println!("\n#define VECTOR_SIBLINGS 3");
    array("vector_name", &name.0);
    array("vector_head", &head.sign(&seed)?.bytes);
    array("vector_leaf", &leaves[5].to_bytes());
    println!("\nstatic const uint8_t vector_siblings[VECTOR_SIBLINGS][32] = {{");
    for sibling in [h[4], h[6], left] {
        println!("\t{{");
        rows(&sibling);
        println!("\t}},");
    }
    println!("}};");
    array("vector_payload", PAYLOAD);
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! AF_FEED: a socket family that asks the network for data by name.

use kernel::prelude::*;

module! {
    type: FeedModule,
    name: "feed",
    authors: ["The AF_FEED authors"],
    description: "AF_FEED: verified feeds from whoever is nearest",
    license: "GPL",
    alias: ["net-pf-18"],
}

struct FeedModule;

/// RFC 8032, section 7.1, test 2: public key, one-byte message, signature.
const PUBLIC_KEY: [u8; 32] = [
    0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
    0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
];
const SIGNATURE: [u8; 64] = [
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
    0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
    0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
    0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
];

/// BLAKE3 of nothing, from its official test vectors.
const EMPTY_HASH_START: [u8; 8] = [0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6];

impl kernel::Module for FeedModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let hash = blake3::hash(&[]);
        if !hash.as_bytes().starts_with(&EMPTY_HASH_START) {
            pr_err!("BLAKE3 gives a wrong hash\n");
            return Err(EINVAL);
        }
        let key = ed25519_compact::PublicKey::new(PUBLIC_KEY);
        let signature = ed25519_compact::Signature::new(SIGNATURE);
        if key.verify([0x72u8], &signature).is_err() || key.verify([0x73u8], &signature).is_ok() {
            pr_err!("Ed25519 gives a wrong verdict\n");
            return Err(EINVAL);
        }
        let mut words = heapless::Vec::<u32, 2>::new();
        let fits = words.push(1).is_ok() && words.push(2).is_ok() && words.push(3).is_err();
        if !fits {
            return Err(EINVAL);
        }
        pr_info!("loaded\n");
        Ok(FeedModule)
    }
}

impl Drop for FeedModule {
    fn drop(&mut self) {
        pr_info!("unloaded\n");
    }
}

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Vectors: ours do not change, and those of others get the verdicts that PROTOCOL.md promises.
#![allow(non_snake_case)]

#[path = "common/golden.rs"]
mod golden;
#[path = "common/samples.rs"]
mod samples;

use feed_core::blob::BlobHasher;
use feed_core::sign::{PublicKey, Seed};
use feed_core::wire::{FrameView, Message};
use serde_json::Value;

macro_rules! vectors {
    ($file:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../../tests/vectors/", $file)))
            .unwrap()
    };
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn verify(key: &Value, message: &Value, signature: &Value) -> bool {
    let key = PublicKey(bytes(key).try_into().unwrap());
    // A signature of another length has no place in our formats.
    let Ok(signature) = bytes(signature).try_into() else {
        return false;
    };
    key.verify_untagged(&bytes(message), &signature).is_ok()
}

#[test]
fn golden__unchanged() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/feed/");
    for (file, document) in golden::documents() {
        let kept = std::fs::read_to_string(format!("{dir}{file}")).unwrap();
        assert!(
            kept == golden::text(&document),
            "{file} differs: the protocol would change"
        );
    }
}

/// The kept frames, read by themselves.
#[test]
fn golden__frames_parse() {
    let kept = vectors!("feed/frames.json");
    let samples = samples::messages();
    for (frame, (name, message)) in kept["frames"].as_array().unwrap().iter().zip(&samples) {
        let bytes = bytes(&frame["bytes"]);
        let view = FrameView::parse(&bytes).unwrap();
        let parsed: Vec<Result<Message<'_>, _>> = view.messages().collect();
        assert_eq!(parsed, [Ok(*message)], "{name}");
    }
    assert_eq!(kept["frames"].as_array().unwrap().len(), samples.len());
}

#[test]
fn ed25519__speccheck() {
    let cases = vectors!("speccheck/cases.json");
    let accepted: Vec<_> = cases
        .as_array()
        .unwrap()
        .iter()
        .map(|case| verify(&case["pub_key"], &case["message"], &case["signature"]))
        .collect();
    let expected: Vec<_> = (0..12).map(|case| (3..=5).contains(&case)).collect();
    assert_eq!(accepted, expected);
}

#[test]
fn ed25519__wycheproof() {
    let file = vectors!("wycheproof/ed25519_test.json");
    let mut count = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let key = &group["publicKey"]["pk"];
        for test in group["tests"].as_array().unwrap() {
            let expected = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                other => panic!("a verdict that PROTOCOL.md does not know: {other}"),
            };
            assert_eq!(
                verify(key, &test["msg"], &test["sig"]),
                expected,
                "case {}",
                test["tcId"]
            );
            count += 1;
        }
    }
    assert_eq!(file["numberOfTests"], count);
}

/// RFC 8032 section 7.1, tests 1 to 3, through our signer: without a tag there is none, so the check
/// is of the key and of the bare predicate.
#[test]
fn ed25519__rfc_8032() {
    for (seed, key, message, signature) in feed_core::selftest::RFC_8032 {
        let derived = Seed::new(*seed).unwrap().public_key();
        assert_eq!(derived, PublicKey(*key));
        assert_eq!(derived.verify_untagged(message, signature), Ok(()));
    }
}

#[test]
fn blake3__official() {
    let file = vectors!("blake3/test_vectors.json");
    let key: [u8; 32] = file["key"].as_str().unwrap().as_bytes().try_into().unwrap();
    for case in file["cases"].as_array().unwrap() {
        let len = case["input_len"].as_u64().unwrap() as usize;
        let input = samples::payload(len);
        let hash = &bytes(&case["hash"])[..32];
        let mut hasher = BlobHasher::new();
        hasher.update(&input, |_, _| ()).unwrap();
        assert_eq!(hasher.finish(|_, _| ()).hash.0, hash, "{len}");
        assert_eq!(
            blake3::keyed_hash(&key, &input).as_bytes(),
            &bytes(&case["keyed_hash"])[..32],
            "{len}"
        );
    }
}

#[test]
fn selftest__passes() {
    assert_eq!(feed_core::selftest::run(), Ok(()));
}

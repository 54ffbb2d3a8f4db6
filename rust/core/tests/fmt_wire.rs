// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Messages: what is emitted parses to the same, what is broken gives a named reason, and nothing
//! panics.
#![allow(non_snake_case)]

#[path = "common/frames.rs"]
mod frames;

#[path = "common/samples.rs"]
mod samples;

#[path = "harness/property.rs"]
mod property;

use feed_core::id::Hashes;
use feed_core::token::Token;
use feed_core::wire::*;
use feed_core::Drop;
use frames::*;
use property::property;
use proptest::prelude::*;
use samples::*;

#[test]
fn message__parse_of_emit_is_itself() {
    for (name, message) in messages() {
        let frame = frame_of(&message);
        let view = FrameView::parse(&frame).unwrap();
        assert_eq!(view.header, frame_header(&message));
        assert_eq!(view.messages().collect::<Vec<_>>(), [Ok(message)], "{name}");
    }
}

#[test]
fn message__lengths_are_those_of_the_table() {
    for (name, message) in messages() {
        let expected = match message {
            Message::Refusal(_) => REFUSAL_LEN,
            Message::Head(_) => HEAD_MESSAGE_LEN,
            Message::Grant(_) => GRANT_MESSAGE_LEN,
            Message::Cons(m) => PROOF_HEADER_LEN + 32 * m.hashes.len(),
            Message::Path(m) => PROOF_HEADER_LEN + 32 * m.siblings.len(),
            Message::Page(m) => PROOF_HEADER_LEN + 32 * m.leaves.len(),
            Message::Entry(m) => {
                ENTRY_HEADER_LEN
                    + 32 * m.siblings.map_or(0, |s| s.len())
                    + m.payload.map_or(0, |p| p.len())
            }
            Message::BlobPath(m) => BLOB_HEADER_LEN + 32 * m.siblings.len(),
            Message::BlobPage(m) => BLOB_HEADER_LEN + 32 * m.chunks.len(),
            Message::BlobData(m) => BLOB_HEADER_LEN + m.payload.len(),
            Message::LookupHead(_) => LOOKUP_HEAD_LEN,
            Message::LookupRange(_) => LOOKUP_RANGE_LEN,
            Message::LookupCons(_) => LOOKUP_CONS_LEN,
            Message::LookupBlob(_) => LOOKUP_BLOB_LEN,
            Message::Follow(_) => FOLLOW_LEN,
        };
        assert_eq!(message_bytes(&frame_of(&message)).len(), expected, "{name}");
    }
}

#[test]
fn message__every_truncation_has_a_name() {
    for (name, message) in messages() {
        let whole = frame_of(&message);
        for len in 0..HEADER + message_bytes(&whole).len() {
            // The frame promises more than there is.
            assert_eq!(
                parse(&whole[..len]),
                Err(Drop::Truncated),
                "{name} cut to {len}"
            );
        }
        let bytes = message_bytes(&whole);
        for len in 1..bytes.len() {
            // The frame is right and the message promises more than there is.
            assert_eq!(
                parse(&frame(&bytes[..len])),
                Ok(vec![Err(Drop::Malformed)]),
                "{name} {len}"
            );
            // All lengths agree and the message is too short for its type. Data of a shorter range is
            // still data.
            if len >= 4 {
                let short = frame(&raw(bytes[0], bytes[1], &bytes[4..len]));
                let parsed = parse(&short).unwrap();
                let is_data = bytes[0] == TYPE_BLOB_DATA && len > BLOB_HEADER_LEN;
                match &parsed[..] {
                    [Ok(Message::BlobData(data))] => {
                        assert!(is_data && data.payload.len() == len - BLOB_HEADER_LEN)
                    }
                    [Err(Drop::OutOfRange)] => {
                        assert!(bytes[0] == TYPE_BLOB_DATA && len == BLOB_HEADER_LEN)
                    }
                    other => assert_eq!(other, [Err(Drop::Malformed)], "{name} {len}"),
                }
            }
        }
        if message_bytes(&whole)[0] != TYPE_BLOB_DATA {
            let long = frame(&raw(bytes[0], bytes[1], &[&bytes[4..], &[0]].concat()));
            assert_eq!(
                parse(&long),
                Ok(vec![Err(Drop::Malformed)]),
                "{name} with a byte more"
            );
        }
    }
}

/// Every byte of every message set to every value: a reason, or a message that emits to exactly the
/// bytes it was parsed from.
#[test]
fn message__every_mutation_has_a_name_or_one_form() {
    for (name, message) in messages() {
        let whole = frame_of(&message);
        let end = HEADER + message_bytes(&whole).len();
        for at in 0..end.min(HEADER + 400) {
            let mut copy = whole.clone();
            for value in 0..=255 {
                copy[at] = value;
                let Ok(view) = FrameView::parse(&copy) else {
                    continue;
                };
                for parsed in view.messages().flatten() {
                    let mut buf = vec![0; 9000];
                    let mut builder = FrameBuilder::new(&mut buf, 9000).unwrap();
                    assert!(parsed.emit(&mut builder));
                    let built = builder.finish(&view.header);
                    // What follows the first message is another matter.
                    let len = u16::from_le_bytes([buf[HEADER + 2], buf[HEADER + 3]]);
                    let used = HEADER..HEADER + usize::from(len);
                    if view.messages().count() == 1 {
                        assert_eq!(buf[used.clone()], copy[used], "{name}, byte {at} = {value}");
                        assert!(built.linear <= copy.len());
                    }
                }
            }
        }
    }
}

#[test]
fn frame__unknown_types() {
    let refusal = message_bytes(&frame_of(&messages()[0].1)).to_vec();
    for kind in 0x0b..=0xff {
        let bytes = frame(&[&refusal[..], &raw(kind, 0, &[1, 2, 3]), &refusal].concat());
        let parsed = parse(&bytes);
        match kind {
            TYPE_OFFER | TYPE_RECEIPT | TYPE_FORK | TYPE_CUSTODY => {
                let parsed = parsed.unwrap();
                assert_eq!((parsed.len(), parsed[1]), (3, Err(Drop::Unsupported)));
            }
            TYPE_LOOKUP_HEAD..=TYPE_FOLLOW => {
                let parsed = parsed.unwrap();
                assert_eq!(
                    (parsed.len(), parsed[1]),
                    (2, Err(Drop::Malformed)),
                    "nothing follows"
                );
            }
            // Nothing of such a frame is acted on, not even what comes first.
            0x80.. => assert_eq!(parsed, Err(Drop::UnknownCritical)),
            _ => {
                let parsed = parsed.unwrap();
                assert_eq!((parsed.len(), parsed[1]), (3, Err(Drop::UnknownType)));
            }
        }
    }
}

#[test]
fn message__undefined_flags_are_refused() {
    for (name, message) in messages() {
        let whole = frame_of(&message);
        let defined = match message {
            Message::Head(_) => UNCHECKED,
            Message::LookupRange(_) => LEAF_ONLY,
            Message::LookupBlob(_) => CHUNK_MODE,
            Message::Entry(_) => SIBLINGS | PAYLOAD,
            _ => 0,
        };
        for bit in (0..8).map(|bit| 1 << bit).filter(|bit| defined & bit == 0) {
            let mut copy = whole.clone();
            copy[HEADER + 1] |= bit;
            assert_eq!(parse(&copy), Ok(vec![Err(Drop::Reserved)]), "{name}");
        }
    }
}

/// Offsets (in the message) of bytes that are reserved, and of fields with one value too far.
#[test]
fn message__reserved_fields_and_ranges() {
    let all = messages();
    let check = |name: &str, at: usize, value: &[u8], reason: Drop| {
        let (_, message) = all.iter().find(|(n, _)| *n == name).unwrap();
        let mut copy = frame_of(message);
        copy[HEADER + at..HEADER + at + value.len()].copy_from_slice(value);
        assert_eq!(parse(&copy), Ok(vec![Err(reason)]), "{name} at {at}");
    };
    for name in [
        "lookup-head",
        "lookup-range",
        "lookup-cons",
        "lookup-blob",
        "follow",
    ] {
        for at in 21..24 {
            check(name, at, &[1], Drop::Reserved);
        }
        check(name, 16, &30_001u32.to_le_bytes(), Drop::OutOfRange);
    }
    for at in 88..96 {
        check("lookup-head", at, &[1], Drop::Reserved);
    }
    for at in 84..88 {
        check("lookup-range", at, &[1], Drop::Reserved);
    }
    for at in 81..84 {
        check("lookup-range", at, &[1], Drop::Reserved);
    }
    check("lookup-range", 80, &[4], Drop::Reserved);
    for at in 60..64 {
        check("lookup-cons", at, &[1], Drop::Reserved);
    }
    for at in 100..104 {
        check("lookup-blob", at, &[1], Drop::Reserved);
    }
    check("lookup-blob", 94, &[4], Drop::Reserved);
    for at in 72..88 {
        check("follow", at, &[1], Drop::Reserved);
    }
    for (name, range) in [
        ("refusal", 5..8),
        ("cons", 20..24),
        ("path", 20..24),
        ("page", 20..24),
    ] {
        for at in range {
            check(name, at, &[1], Drop::Reserved);
        }
    }
    for name in ["blob-path", "blob-page"] {
        for at in 18..24 {
            check(name, at, &[1], Drop::Reserved);
        }
        check(name, 16, &512u16.to_le_bytes(), Drop::OutOfRange);
    }
    for name in [
        "head",
        "grant",
        "cons",
        "path",
        "page",
        "entry",
        "blob-path",
        "blob-page",
        "blob-data",
    ] {
        check(name, 5, &[1], Drop::Reserved);
    }
    for name in ["head", "grant", "blob-data"] {
        check(name, 6, &[1], Drop::OutOfRange);
    }
    check("blob-data", 18, &[1], Drop::Reserved);
    check("blob-data", 16, &512u16.to_le_bytes(), Drop::OutOfRange);
    check("blob-data", 20, &1025u32.to_le_bytes(), Drop::OutOfRange);
    check("blob-data", 20, &32_768u32.to_le_bytes(), Drop::OutOfRange);
    check("blob-data", 20, &u32::MAX.to_le_bytes(), Drop::OutOfRange);
    for reason in [0, 7, 255] {
        check("refusal", 4, &[reason], Drop::OutOfRange);
    }
    let over = ((1u64 << 36) + 1).to_le_bytes();
    check(
        "lookup-head",
        64,
        &((1u64 << 36) + 2).to_le_bytes(),
        Drop::OutOfRange,
    );
    check("lookup-head", 72, &over, Drop::OutOfRange);
    check("lookup-range", 60, &[0; 4], Drop::OutOfRange);
    check("lookup-range", 64, &over, Drop::OutOfRange);
    check(
        "lookup-range",
        72,
        &(1u64 << 31).to_le_bytes(),
        Drop::OutOfRange,
    );
    check("lookup-cons", 64, &[0; 8], Drop::OutOfRange);
    check("lookup-cons", 64, &70u64.to_le_bytes(), Drop::OutOfRange);
    check("lookup-cons", 72, &over, Drop::OutOfRange);
    check(
        "lookup-blob",
        88,
        &((16u32 << 20) + 1).to_le_bytes(),
        Drop::OutOfRange,
    );
    check("lookup-blob", 92, &4u16.to_le_bytes(), Drop::OutOfRange);
    check("lookup-blob-chunks", 96, &[0; 4], Drop::OutOfRange);
    check("lookup-blob-chunks", 96, &[0b100], Drop::OutOfRange);
    check("follow", 64, &over, Drop::OutOfRange);
    check("cons", 24, &70u64.to_le_bytes(), Drop::OutOfRange);
    check("cons", 24, &[0; 8], Drop::OutOfRange);
    check("cons", 24, &[41], Drop::ProofLength);
    check("cons", 32, &over, Drop::OutOfRange);
    check("path", 24, &over, Drop::OutOfRange);
    check("path", 24, &64u64.to_le_bytes(), Drop::ProofLength);
    check("path", 32, &[3], Drop::OutOfRange);
    check("path", 32, &u64::MAX.to_le_bytes(), Drop::OutOfRange);
    check("page", 24, &71u64.to_le_bytes(), Drop::ProofLength);
    check("page", 32, &[3], Drop::OutOfRange);
    check("entry", 24, &[33], Drop::OutOfRange);
    check("entry", 24, &over, Drop::OutOfRange);
    check("entry", 24, &(1u64 << 20).to_le_bytes(), Drop::ProofLength);
    check("entry", 32 + 24, &[9], Drop::OutOfRange);
    check("entry", 32 + 30, &[1], Drop::BadLeaf);
}

#[test]
fn blob_data__fits_its_blob() {
    let (blob, _) = blob_of(&payload(100_000));
    let data = |window, offset, len: u32| BlobData {
        answer: Answer {
            hops: 1,
            token: Token::default(),
        },
        window,
        offset,
        payload: Payload::Trailing(len),
    };
    let last = 100_000 - 3 * 32768;
    assert!(data(0, 0, 32768).fits(&blob));
    assert!(data(0, 64, 64).fits(&blob));
    assert!(!data(0, 64, 65).fits(&blob));
    assert!(!data(0, 32768, 64).fits(&blob));
    assert!(data(3, 0, last).fits(&blob));
    assert!(data(3, 64, last - 64).fits(&blob));
    assert!(!data(3, 0, last + 1).fits(&blob));
    assert!(!data(4, 0, 64).fits(&blob));
}

#[test]
fn drop__reasons_have_one_name_each() {
    let names: std::collections::HashSet<_> =
        Drop::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Drop::ALL.len());
    for (index, reason) in Drop::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index);
        assert!(reason
            .as_str()
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'-'));
    }
}

#[test]
fn hashes__views() {
    assert_eq!(Hashes::new(&[0; 33]), None);
    assert!(Hashes::NONE.is_empty());
    let bytes: Vec<u8> = (0..96).collect();
    let view = Hashes::new(&bytes).unwrap();
    assert_eq!((view.len(), view.iter().count()), (3, 3));
    assert_eq!(view.get(2).unwrap().0[..], bytes[64..]);
    assert_eq!(view.get(3), None);
    assert_eq!(view.get(usize::MAX), None);
    assert_eq!(view.skip(1).as_bytes(), &bytes[32..]);
    assert!(view.skip(4).is_empty());
}

proptest! {
    #![proptest_config(property(256))]

    #[test]
    fn message__random_bodies(kind in prop_oneof![0u8..0x0b, 0x81u8..0x86], flags in 0u8..4, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = frame(&raw(kind, flags, &body));
        if let Ok(parsed) = parse(&bytes) {
            prop_assert!(parsed.len() <= 1);
        }
    }

    #[test]
    fn token__wire_form(wire in any::<u64>()) {
        prop_assert_eq!(Token::from_u64(wire).to_u64(), wire);
    }
}

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Frames: their header, how they are built, and what of one is copied before the rest.
#![allow(non_snake_case)]

#[path = "common/frames.rs"]
mod frames;

#[path = "common/samples.rs"]
mod samples;

#[path = "harness/behind.rs"]
mod behind;

#[path = "harness/property.rs"]
mod property;

use behind::pieces;
use feed_core::wire::{leaves, *};
use feed_core::Drop;
use frames::*;
use property::property;
use proptest::prelude::*;
use samples::*;

#[test]
fn frame__several_messages_and_padding() {
    let all = messages();
    let mut buf = vec![0xaa; 9000];
    let mut builder = FrameBuilder::new(&mut buf, 9000).unwrap();
    assert!(builder.is_empty());
    for (_, message) in &all {
        assert!(message.emit(&mut builder));
    }
    assert!(!builder.is_empty());
    let built = builder.finish(&FrameHeader {
        limited: true,
        cookie_echo: 5,
        cookie_give: 6,
    });
    let view = FrameView::parse(&buf[..built.linear]).unwrap();
    assert_eq!(
        view.header,
        FrameHeader {
            limited: true,
            cookie_echo: 5,
            cookie_give: 6
        }
    );
    let parsed: Vec<_> = view.messages().collect();
    assert_eq!(
        parsed,
        all.iter()
            .map(|(_, message)| Ok(*message))
            .collect::<Vec<_>>()
    );

    // END stops, whatever follows; so does the length field.
    let refusal = message_bytes(&frame_of(&all[0].1)).to_vec();
    let end = frame(&[&refusal[..], &[TYPE_END], &refusal].concat());
    assert_eq!(parse(&end).unwrap().len(), 1);
    let mut padded = frame(&refusal);
    padded.extend(&refusal);
    assert_eq!(parse(&padded).unwrap().len(), 1);
    assert_eq!(parse(&frame(&[])), Ok(vec![]));
}

#[test]
fn frame__header_rules() {
    let good = frame_of(&messages()[0].1);
    let with = |at: usize, value: u8| {
        let mut copy = good.clone();
        copy[at] = value;
        FrameView::parse(&copy).map(|view| view.header)
    };
    assert_eq!(with(0, 0), Err(Drop::BadVersion));
    assert_eq!(with(0, 2), Err(Drop::BadVersion));
    for flag in 1..8 {
        assert_eq!(with(1, 1 << flag), Err(Drop::Reserved));
    }
    assert!(with(1, FRAME_LIMITED).unwrap().limited);
    assert_eq!(with(3, 0xff), Err(Drop::Truncated));
    for at in 4..8 {
        assert_eq!(with(at, 1), Err(Drop::Reserved));
    }
    assert_eq!(FrameView::parse(&[]).map(|_| ()), Err(Drop::Truncated));
}

#[test]
fn frame_builder__bounds() {
    let mut buf = [0; 9000];
    assert!(FrameBuilder::new(&mut buf[..45], 1500).is_none());
    assert!(FrameBuilder::new(&mut buf, 45).is_none());
    let all = messages();
    let entry = all.iter().find(|(name, _)| *name == "entry").unwrap().1;
    let len = message_bytes(&frame_of(&entry)).len();
    for mtu in 46..HEADER + len + 2 {
        let mut builder = FrameBuilder::new(&mut buf, mtu).unwrap();
        assert_eq!(builder.remaining(), mtu - HEADER);
        let fits = entry.emit(&mut builder);
        assert_eq!(fits, mtu >= HEADER + len);
        assert_eq!(builder.is_empty(), !fits);
        let built = builder.finish(&FrameHeader::default());
        assert_eq!(built.linear, if fits { HEADER + len } else { FRAME_MIN });
        assert_eq!(
            parse(&buf[..built.linear]).unwrap().len(),
            usize::from(fits)
        );
    }
}

#[test]
fn frame_builder__payload_behind_the_buffer() {
    let all = messages();
    let Message::BlobData(data) = all.iter().find(|(name, _)| *name == "blob-data").unwrap().1
    else {
        panic!("the sample is data")
    };
    let refusal = all[0].1;
    // The payload is not in the buffer, which is far smaller than the frame.
    let mut buf = [0xaa; 64];
    let bytes = data.payload.bytes();
    let mut builder = FrameBuilder::new(&mut buf, 1500).unwrap();
    let trailing = BlobData {
        payload: Payload::Trailing(bytes.len() as u32),
        ..data
    };
    assert!(trailing.emit(&mut builder));
    assert_eq!(builder.remaining(), 0);
    assert!(!refusal.emit(&mut builder), "nothing goes behind a payload");
    let built = builder.finish(&frame_header(&Message::BlobData(data)));
    assert_eq!(
        (built.linear, built.trailing),
        (HEADER + BLOB_HEADER_LEN, bytes.len())
    );
    assert_eq!(
        [&buf[..built.linear], bytes].concat(),
        frame_of(&Message::BlobData(data))
    );

    let mut builder = FrameBuilder::new(&mut buf, 1500).unwrap();
    let room = builder.remaining() - BLOB_HEADER_LEN;
    let too_long = BlobData {
        payload: Payload::Trailing(room as u32 + 1),
        ..data
    };
    assert!(!too_long.emit(&mut builder));
    let longest = BlobData {
        payload: Payload::Trailing(room as u32),
        ..data
    };
    assert!(longest.emit(&mut builder));
    let mut builder = FrameBuilder::new(&mut buf, usize::MAX).unwrap();
    let absurd = BlobData {
        payload: Payload::Trailing(u32::MAX),
        ..data
    };
    assert!(!absurd.emit(&mut builder), "the length field cannot say it");
}

/// Asks what must be copied of a frame, as a kernel does; gives that, and the rest.
fn split(frame: &[u8]) -> (&[u8], &[u8]) {
    let mut copied = 0;
    for _ in 0..4 {
        let wanted = head_len(&frame[..copied], frame.len());
        assert!(wanted <= frame.len());
        if wanted <= copied {
            return frame.split_at(copied);
        }
        copied = wanted;
    }
    panic!("the head of {frame:02x?} has no end");
}

/// A frame in two parts means what the whole frame means.
fn check_split(frame: &[u8]) -> Result<usize, TestCaseError> {
    let (head, rest) = split(frame);
    let (whole, parts) = (
        FrameView::parse(frame),
        FrameView::parse_head(head, rest.len()),
    );
    prop_assert_eq!(whole.map(|view| view.header), parts.map(|view| view.header));
    let (Ok(whole), Ok(parts)) = (whole, parts) else {
        return Ok(0);
    };
    let mut behind = 0;
    let mut parts = parts.messages();
    for message in whole.messages() {
        let part = parts.next();
        let (Ok(Message::BlobData(data)), Some(Ok(Message::BlobData(part)))) = (message, part)
        else {
            prop_assert_eq!(Some(message), part);
            continue;
        };
        match part.payload {
            Payload::Bytes(_) => prop_assert_eq!(data, part),
            Payload::Trailing(len) => {
                behind = len as usize;
                prop_assert_eq!(data.payload.bytes(), &rest[..behind]);
                let payload = data.payload;
                prop_assert_eq!(data, BlobData { payload, ..part });
            }
        }
    }
    prop_assert_eq!(parts.next(), None);
    Ok(behind)
}

#[test]
fn head__is_what_comes_before_a_payload_that_ends_the_frame() {
    let data = raw(
        TYPE_BLOB_DATA,
        0,
        &[[0; 20].to_vec(), payload(640)].concat(),
    );
    let path = raw(TYPE_BLOB_PATH, 0, &[[0; 20].to_vec(), payload(96)].concat());
    let page = raw(TYPE_BLOB_PAGE, 0, &[[0; 20].to_vec(), payload(96)].concat());
    let alone = frame(&data);
    assert_eq!(split(&alone).1, payload(640));
    let behind_its_path = frame(&[&path[..], &data].concat());
    assert_eq!(split(&behind_its_path).1, payload(640));
    let padded = [&alone[..], &[9; 5]].concat();
    assert_eq!(split(&padded).1, [&payload(640)[..], &[9; 5]].concat());
    for whole in [
        frame(&[&page[..], &data].concat()),
        frame(&[&data[..], &path].concat()),
        frame(&[&path[..], &path, &data].concat()),
        frame(&page),
        frame(&[]),
        alone[..40].to_vec(),
        vec![],
    ] {
        assert_eq!(split(&whole).1, [], "{whole:02x?}");
    }
}

#[test]
fn head__lengths_that_lie() {
    let data = raw(
        TYPE_BLOB_DATA,
        0,
        &[[0; 20].to_vec(), payload(640)].concat(),
    );
    let good = frame(&data);
    let (head, rest) = split(&good);
    assert!(FrameView::parse_head(head, rest.len()).is_ok());
    let short = FrameView::parse_head(head, rest.len() - 1);
    assert_eq!(short.map(|_| ()), Err(Drop::Truncated));
    // Each of the two lengths says more, or less, than the other.
    for (at, by) in [(2, 64), (2, -64), (HEADER + 2, 64), (HEADER + 2, -64)] {
        let mut lie = good.clone();
        let len = u16::from_le_bytes([lie[at], lie[at + 1]]);
        lie[at..at + 2].copy_from_slice(&len.wrapping_add_signed(by).to_le_bytes());
        let Ok(view) = FrameView::parse_head(&lie[..head.len()], rest.len()) else {
            continue;
        };
        let trailing = |message| matches!(message, Ok(Message::BlobData(data)) if matches!(data.payload, Payload::Trailing(_)));
        assert!(!view.messages().any(trailing), "{at} {by}");
    }
}

#[test]
fn cut__other_frames_are_not() {
    let data = raw(
        TYPE_BLOB_DATA,
        0,
        &[[0; 20].to_vec(), payload(640)].concat(),
    );
    let refusal = raw(TYPE_REFUSAL, 0, &[0; 12]);
    let good = frame(&data);
    let start = HEADER + BLOB_HEADER_LEN;
    let range = start..good.len();
    assert_eq!(payload_range(&good), Some(range.clone()));
    assert_eq!(payload_range(&good[..start]), Some(range));
    assert_eq!(payload_range(&good[..start - 1]), None);
    for other in [frame(&refusal), frame(&[&data[..], &refusal].concat())] {
        assert_eq!(payload_range(&other), None);
        assert_eq!(cut_head(&mut other.clone(), 0, 64), None);
    }
    // Not from the middle of a payload, and not into nothing.
    assert_eq!(leaves(&good, 1500, 1500, 0), None);
    for mtu in [0, start - 1, start, start + 63] {
        assert_eq!(leaves(&good[..start], 640, mtu, 0), None);
    }
    assert_eq!(
        leaves(&good[..start], 640, start + 64, 0),
        Some(Leaves::Pieces(64))
    );
    assert_eq!(
        leaves(&good[..start], 640, start + 639, 0),
        Some(Leaves::Pieces(576))
    );
    assert_eq!(
        leaves(&good[..start], 640, start + 640, 0),
        Some(Leaves::Whole)
    );
    // All but the last piece, with something to spare.
    assert_eq!(
        leaves(&good[..start], 640, start + 640, 12),
        Some(Leaves::Whole)
    );
    assert_eq!(
        leaves(&good[..start], 641, start + 640, 12),
        Some(Leaves::Pieces(576))
    );
    assert_eq!(leaves(&good[..start], 641, start + 640, start + 640), None);
    // Of a device that carries longer frames than the protocol has.
    let longest = (MTU_MAX - start) / 64 * 64;
    assert_eq!(
        leaves(&good[..start], 70_000, 65_535, 0),
        Some(Leaves::Pieces(longest as u16))
    );
    assert_eq!(leaves(&good[..start], usize::MAX, 1500, 0), None);
    // What is not cut leaves whole or not at all.
    assert_eq!(leaves(&frame(&refusal), 0, 1500, 0), Some(Leaves::Whole));
    assert_eq!(leaves(&frame(&refusal), 1500, 1500, 0), None);
    // What a length field cannot say.
    assert_eq!(cut_head(&mut good[..start].to_vec(), 64, 65_536), None);
    let mut head = good[..start].to_vec();
    assert_eq!(cut_head(&mut head, u32::MAX, 64), Some(start));
    assert_eq!(cut_head(&mut head, 1, 64), None);
}

proptest! {
    #![proptest_config(property(256))]

    #[test]
    fn cut__pieces_say_what_the_long_frame_says(
        units in 1usize..512,
        siblings in 0u8..10,
        mtu in MTU_MIN..9217,
    ) {
        let count = [0, 0, siblings, 0];
        let path = raw(TYPE_BLOB_PATH, 0, &[&count[..], &[0; 16], &vec![7; usize::from(siblings) * 32]].concat());
        let first = (512 - units) * 64;
        let offset = (first as u32).to_le_bytes();
        let bytes = payload(units * 64);
        let data = raw(TYPE_BLOB_DATA, 0, &[&[0; 16][..], &offset, &bytes].concat());
        let before = if siblings > 0 { path } else { Vec::new() };
        let long = frame(&[&before[..], &data].concat());
        let header = FrameView::parse(&long).unwrap().header;
        let mut at = 0;
        for (index, piece) in pieces(&long, mtu).iter().enumerate() {
            prop_assert!(piece.len() <= mtu);
            if index > 0 {
                prop_assert_eq!(payload_range(piece), Some(PIECE_HEAD_LEN..piece.len()));
            }
            let view = FrameView::parse(piece).unwrap();
            prop_assert_eq!(view.header, header);
            let mut messages = view.messages();
            if siblings > 0 && index == 0 {
                let is_path = matches!(messages.next(), Some(Ok(Message::BlobPath(path))) if path.siblings.len() == usize::from(siblings));
                prop_assert!(is_path);
            }
            let Some(Ok(Message::BlobData(data))) = messages.next() else {
                return Err(TestCaseError::fail("a piece without its part"));
            };
            prop_assert_eq!(data.offset as usize, first + at);
            let len = data.payload.len();
            prop_assert_eq!(data.payload.bytes(), &bytes[at..at + len]);
            prop_assert_eq!(messages.next(), None);
            at += len;
        }
        prop_assert_eq!(at, bytes.len());
    }

    #[test]
    fn frame__random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(view) = FrameView::parse(&bytes) {
            prop_assert!(view.messages().count() <= bytes.len());
        }
        let mut with_header = frame(&bytes);
        with_header[2..4].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
        if let Ok(parsed) = parse(&with_header) {
            prop_assert!(parsed.len() <= bytes.len());
        }
    }

    #[test]
    fn head__any_frame_in_two_parts(
        messages in prop::collection::vec(
            (
                prop_oneof![
                    Just(TYPE_BLOB_DATA),
                    Just(TYPE_BLOB_PATH),
                    Just(TYPE_BLOB_PAGE),
                    Just(TYPE_END),
                    any::<u8>()
                ],
                prop::collection::vec(any::<u8>(), 0..300),
                any::<bool>(),
            ),
            0..4,
        ),
        damage in prop::option::of((0usize..120, any::<u8>())),
        cut in prop::option::of(0usize..400),
    ) {
        let bytes = messages.iter().flat_map(|(kind, body, tidy)| {
            let mut body = body.clone();
            if *tidy && body.len() >= 20 {
                // Reserved fields and places that hold.
                body[..4].fill(0);
                body[12..20].fill(0);
            }
            raw(*kind, 0, &body)
        });
        let mut bytes = frame(&bytes.collect::<Vec<_>>());
        if let Some((at, to)) = damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        check_split(&bytes)?;
    }

    #[test]
    fn head__payloads_stay_behind(len in 1usize..3000, path in 0usize..12, trailer in 0usize..70) {
        let count = [0, 0, path as u8, 0];
        let path = raw(TYPE_BLOB_PATH, 0, &[&count[..], &[0; 16], &vec![7; path * 32]].concat());
        let data = raw(TYPE_BLOB_DATA, 0, &[[0; 20].to_vec(), payload(len)].concat());
        let bytes = frame(&[&path[..], &data].concat());
        let behind = check_split(&bytes)?;
        prop_assert!(behind == len || bytes.len() == FRAME_MIN);
        // What somebody has put behind the frame is no part of it.
        let more = [&bytes[..], &vec![9; trailer]].concat();
        prop_assert_eq!(check_split(&more)?, behind);
    }
}

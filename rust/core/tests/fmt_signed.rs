// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Names, leaves, heads, grants, tokens and cookies, and what a head means beside those held.
#![allow(non_snake_case)]

#[path = "common/samples.rs"]
mod samples;

use feed_core::cookie::{self, COOKIE_PERIOD_MS};
use feed_core::grant::{Grant, SignedGrant};
use feed_core::head::{Head, SignedHead, HEAD_FINAL};
use feed_core::id::{FeedText, Hash, Name};
use feed_core::leaf::Leaf;
use feed_core::sign::{tag32, PublicKey, Seed};
use feed_core::siphash::SipKey;
use feed_core::token::{Binding, Token, MAC_GROUP};
use feed_core::verify::{check_grant, check_head, freshness, Demand, HeadAction, Held};
use feed_core::Drop;
use samples::*;

#[test]
fn feed_text__one_form() {
    let name = name();
    let text = FeedText { name, seq: None }.to_string();
    assert_eq!(text.len(), 5 + 64);
    assert_eq!(text.parse(), Ok(FeedText { name, seq: None }));
    for seq in [0, 1, 10, (1 << 36) - 1] {
        let entry = FeedText {
            name,
            seq: Some(seq),
        };
        assert_eq!(entry.to_string(), format!("{text}/{seq}"));
        assert_eq!(entry.to_string().parse(), Ok(entry));
    }
    let digits = &text[5..];
    for bad in [
        String::new(),
        "feed:".into(),
        digits.into(),
        format!("FEED:{digits}"),
        format!("feed:{}", digits.to_uppercase()),
        format!("feed:{digits}0"),
        format!("feed:{}", &digits[1..]),
        format!("feed:g{}", &digits[1..]),
        format!("feed: {}", &digits[1..]),
        format!("{text}/"),
        format!("{text}/01"),
        format!("{text}/+1"),
        format!("{text}/-1"),
        format!("{text}/1/2"),
        format!("{text}/{}", 1u64 << 36),
        format!("{text}/99999999999999999999999"),
        format!("feed:ä{}", &digits[2..]),
    ] {
        assert_eq!(bad.parse::<FeedText>(), Err(Drop::BadText), "{bad}");
    }
}

#[test]
fn discovery_id__depends_on_all_it_covers() {
    let name = name();
    let other = Name(work_key().0);
    assert_eq!(name.id(), name.discovery_id(0, 0));
    let ids = [
        name.id(),
        other.id(),
        name.discovery_id(1, 0),
        name.discovery_id(0, 1),
    ];
    for (i, a) in ids.iter().enumerate() {
        for b in &ids[..i] {
            assert_ne!(a, b);
        }
    }
}

#[test]
fn leaf__parse_is_strict() {
    let leaf = leaves(3)[2];
    let bytes = leaf.to_bytes();
    assert_eq!(Leaf::parse(&bytes), Ok(leaf));
    let with = |at: usize, value: &[u8]| {
        let mut copy = bytes;
        copy[at..at + value.len()].copy_from_slice(value);
        Leaf::parse(&copy)
    };
    assert_eq!(with(0, &(1u64 << 36).to_le_bytes()), Err(Drop::BadLeaf));
    assert!(with(0, &((1u64 << 36) - 1).to_le_bytes()).is_ok());
    assert_eq!(with(8, &u64::MAX.to_le_bytes()), Err(Drop::BadLeaf));
    assert_eq!(
        with(24, &((16u32 << 20) + 1).to_le_bytes()),
        Err(Drop::BadLeaf)
    );
    assert!(with(24, &(16u32 << 20).to_le_bytes()).is_ok());
    assert_eq!(with(30, &[1]), Err(Drop::BadLeaf));
    assert_eq!(with(31, &[0x80]), Err(Drop::BadLeaf));
    assert!(with(28, &[0xff, 0xff]).is_ok());
    // The first entry begins at 0.
    assert_eq!(with(0, &[0]), Err(Drop::BadLeaf));
    for at in 0..64 {
        let mut copy = bytes;
        copy[at] ^= 1;
        if let Ok(other) = Leaf::parse(&copy) {
            assert_ne!(other.hash(), leaf.hash());
            assert_eq!(other.to_bytes(), copy);
        }
    }
}

#[test]
fn leaf__neighbours_follow_from_each_other() {
    let all = leaves(20);
    for pair in all.windows(2) {
        assert_eq!(pair[0].check_next(&pair[1]), Ok(()));
        assert_eq!(pair[1].check_next(&pair[0]), Err(Drop::BadOffset));
        let shifted = Leaf {
            offset: pair[1].offset + 1,
            ..pair[1]
        };
        assert_eq!(pair[0].check_next(&shifted), Err(Drop::BadOffset));
    }
    assert_eq!(all[0].check_next(&all[2]), Err(Drop::BadOffset));
}

#[test]
fn seed__zeros_are_refused() {
    assert!(matches!(Seed::new([0; 32]), Err(Drop::BadSeed)));
    let mut one = [0; 32];
    one[31] = 1;
    assert!(Seed::new(one).is_ok());
}

#[test]
fn sign__binds_tag_and_message() {
    let seed = seed(NAME_SEED);
    let key = seed.public_key();
    let tag = tag32(b"AF_FEED 1 head");
    let signature = seed.sign(&tag, b"message").unwrap();
    assert_eq!(key.verify(&tag, b"message", &signature), Ok(()));
    assert_eq!(
        key.verify(&tag, b"massage", &signature),
        Err(Drop::BadSignature)
    );
    assert_eq!(
        key.verify(&tag32(b"AF_FEED 1 grant"), b"message", &signature),
        Err(Drop::BadSignature)
    );
    assert_eq!(
        work_key().verify(&tag, b"message", &signature),
        Err(Drop::BadSignature)
    );
    assert_eq!(
        key.verify_untagged(b"message", &signature),
        Err(Drop::BadSignature)
    );
    let tagged = [&tag[..], b"message"].concat();
    assert_eq!(key.verify_untagged(&tagged, &signature), Ok(()));
    assert_eq!(seed.sign(&tag, &[0; 129]), Err(Drop::OutOfRange));
    assert_eq!(
        key.verify(&tag, &[0; 129], &signature),
        Err(Drop::BadSignature)
    );
}

#[test]
fn head__every_flipped_bit_is_rejected() {
    let signed = Feed::new(70).head();
    let key = PublicKey::from(name());
    assert_eq!(SignedHead::parse(&signed.bytes), Ok(signed));
    assert_eq!(signed.verify(&key), Ok(()));
    assert_eq!(signed.verify(&work_key()), Err(Drop::BadSignature));
    for bit in 0..160 * 8 {
        let mut copy = signed.bytes;
        copy[bit / 8] ^= 1 << (bit % 8);
        let verdict = SignedHead::parse(&copy).and_then(|head| head.verify(&key));
        let expected = match bit / 8 {
            0 => Drop::BadVersion,
            1 => Drop::BadNameKind,
            3 => Drop::BadHead,
            8..16 if bit - 64 >= 36 => Drop::BadHead,
            _ => Drop::BadSignature,
        };
        assert_eq!(verdict, Err(expected), "bit {bit}");
    }
}

#[test]
fn head__structure() {
    let head = Feed::new(0).head().head;
    assert_eq!((head.n, head.root), (0, Hash::ZERO));
    let name_seed = seed(NAME_SEED);
    assert!(matches!(
        Head {
            root: Hash([1; 32]),
            ..head
        }
        .sign(&name_seed),
        Err(Drop::BadHead)
    ));
    assert!(matches!(
        Head {
            n: (1 << 36) + 1,
            ..head
        }
        .sign(&name_seed),
        Err(Drop::BadHead)
    ));
    assert!(matches!(
        Head {
            flags: 0x0100,
            ..head
        }
        .sign(&name_seed),
        Err(Drop::BadHead)
    ));
    // A flag that need not be known is kept as it was signed.
    let odd = Head {
        flags: 0x0080,
        ..head
    }
    .sign(&name_seed)
    .unwrap();
    assert_eq!(SignedHead::parse(&odd.bytes), Ok(odd));
    assert_eq!(odd.verify(&name().into()), Ok(()));
}

#[test]
fn grant__every_flipped_bit_is_rejected() {
    let signed = grant();
    assert_eq!(SignedGrant::parse(&signed.bytes), Ok(signed));
    assert_eq!(signed.verify(&name()), Ok(()));
    assert_eq!(signed.verify(&Name(work_key().0)), Err(Drop::WrongName));
    for bit in 0..192 * 8 {
        let mut copy = signed.bytes;
        copy[bit / 8] ^= 1 << (bit % 8);
        let verdict = SignedGrant::parse(&copy).and_then(|grant| grant.verify(&name()));
        assert!(verdict.is_err(), "bit {bit}");
    }
    let grant = signed.grant;
    let name_seed = seed(NAME_SEED);
    assert!(matches!(
        Grant { epoch: 0, ..grant }.sign(&name_seed),
        Err(Drop::BadGrant)
    ));
    assert!(matches!(
        Grant { flags: 1, ..grant }.sign(&name_seed),
        Err(Drop::BadGrant)
    ));
    assert!(matches!(
        Grant { base_n: 0, ..grant }.sign(&name_seed),
        Err(Drop::BadGrant)
    ));
    // A working key of small order would accept anything.
    let weak = Grant {
        key: PublicKey([0; 32]),
        ..grant
    }
    .sign(&name_seed)
    .unwrap();
    assert_eq!(weak.verify(&name()), Err(Drop::BadKey));
}

#[test]
fn check_head__table() {
    let at = |n: u64| Feed::new(n).head().head;
    let other_root = |n: u64| Head {
        root: Hash([7; 32]),
        ..at(n)
    };
    let finished = |n: u64| Head {
        flags: HEAD_FINAL,
        ..at(n)
    };
    let grant = grant().grant;
    let end = final_head().head;
    let old = at(40);
    let (empty, ten, done, twelve) = (at(0), at(10), finished(10), at(12));
    let late = Head {
        time: ten.time + 1,
        ..ten
    };

    let held = |head| Held {
        head: Some(head),
        grant: None,
    };
    let none = Held::default();
    let needs = |head: &Head| {
        Ok(HeadAction::NeedsCons {
            m: head.n,
            root: head.root,
        })
    };

    let table: &[(&str, Held<'_>, Head, Result<HeadAction, Drop>)] = &[
        ("first", none, ten, Ok(HeadAction::New)),
        ("first, empty", none, at(0), Ok(HeadAction::New)),
        ("same", held(&ten), ten, Err(Drop::SameHead)),
        ("shorter", held(&ten), at(9), Err(Drop::OldHead)),
        ("longer", held(&ten), at(11), needs(&ten)),
        (
            "after the empty one",
            held(&empty),
            at(5),
            Ok(HeadAction::New),
        ),
        ("later", held(&ten), late, Ok(HeadAction::Refresh)),
        ("earlier", held(&late), ten, Err(Drop::OldHead)),
        (
            "other promise, same time",
            held(&ten),
            Head { next_by: 1, ..ten },
            Err(Drop::OldHead),
        ),
        (
            "two roots",
            held(&ten),
            other_root(10),
            Ok(HeadAction::Fork),
        ),
        (
            "two roots, later",
            held(&ten),
            Head {
                time: ten.time + 9,
                ..other_root(10)
            },
            Ok(HeadAction::Fork),
        ),
        ("now final", held(&ten), done, Ok(HeadAction::Refresh)),
        ("final, then not", held(&done), ten, Err(Drop::OldHead)),
        (
            "final, then later and not",
            held(&done),
            late,
            Err(Drop::OldHead),
        ),
        (
            "final, then longer",
            held(&done),
            at(11),
            Ok(HeadAction::BeyondFinal),
        ),
        ("final and longer", held(&ten), finished(12), needs(&ten)),
        (
            "final but shorter",
            held(&twelve),
            done,
            Ok(HeadAction::Fork),
        ),
        (
            "another feed",
            held(&ten),
            Head {
                name: Name([1; 32]),
                ..at(11)
            },
            Err(Drop::WrongName),
        ),
        (
            "new epoch without grant",
            held(&ten),
            end,
            Ok(HeadAction::NeedsGrant),
        ),
        (
            "new epoch, nothing held",
            none,
            end,
            Ok(HeadAction::NeedsGrant),
        ),
        (
            "new epoch with grant",
            Held {
                head: Some(&ten),
                grant: Some(&grant),
            },
            end,
            Ok(HeadAction::NeedsCons {
                m: 40,
                root: grant.base_root,
            }),
        ),
        (
            "new epoch at its base",
            Held {
                head: Some(&old),
                grant: Some(&grant),
            },
            Head {
                n: 40,
                root: grant.base_root,
                ..end
            },
            Ok(HeadAction::New),
        ),
        (
            "new epoch beside its base",
            Held {
                head: None,
                grant: Some(&grant),
            },
            Head {
                n: 40,
                root: Hash([9; 32]),
                ..end
            },
            Err(Drop::BelowBase),
        ),
        (
            "new epoch below its base",
            Held {
                head: None,
                grant: Some(&grant),
            },
            Head { n: 39, ..end },
            Err(Drop::BelowBase),
        ),
        (
            "old epoch after the grant",
            Held {
                head: Some(&ten),
                grant: Some(&grant),
            },
            at(12),
            Err(Drop::OldEpoch),
        ),
        (
            "epoch after the next",
            Held {
                head: None,
                grant: Some(&grant),
            },
            Head { epoch: 2, ..end },
            Ok(HeadAction::NeedsGrant),
        ),
        ("old epoch", held(&end), at(50), Err(Drop::OldEpoch)),
    ];
    for (what, held, new, expected) in table {
        assert_eq!(check_head(held, new), *expected, "{what}");
    }
}

#[test]
fn check_grant__only_newer() {
    let grant = grant().grant;
    let end = final_head().head;
    let first = Feed::new(4).head().head;
    let next = Grant { epoch: 2, ..grant };
    assert_eq!(check_grant(&Held::default(), &grant), Ok(()));
    assert_eq!(
        check_grant(
            &Held {
                head: Some(&first),
                grant: None
            },
            &grant
        ),
        Ok(())
    );
    assert_eq!(
        check_grant(
            &Held {
                head: None,
                grant: Some(&grant)
            },
            &grant
        ),
        Err(Drop::OldEpoch)
    );
    assert_eq!(
        check_grant(
            &Held {
                head: None,
                grant: Some(&next)
            },
            &grant
        ),
        Err(Drop::OldEpoch)
    );
    assert_eq!(
        check_grant(
            &Held {
                head: Some(&end),
                grant: Some(&grant)
            },
            &next
        ),
        Ok(())
    );
}

#[test]
fn freshness__of_heads() {
    let head = final_head().head;
    let grant = grant().grant;
    let now = head.time + 500;
    let fresh = freshness(&head, Some(&grant), Some(now));
    assert_eq!(
        (fresh.age_ms, fresh.stale, fresh.ahead),
        (Some(500), false, false)
    );
    assert!(!freshness(&head, None, Some(head.next_by)).stale);
    assert!(freshness(&head, None, Some(head.next_by + 1)).stale);
    let no_promise = Head { next_by: 0, ..head };
    assert!(!freshness(&no_promise, None, Some(u64::MAX)).stale);
    assert!(freshness(&no_promise, Some(&grant), Some(grant.not_after + 1)).stale);
    let other_epoch = Grant { epoch: 9, ..grant };
    assert!(!freshness(&no_promise, Some(&other_epoch), Some(grant.not_after + 1)).stale);
    // No clock, no stated time, a time too far ahead.
    assert_eq!(freshness(&head, None, None).age_ms, None);
    assert!(!freshness(&head, None, None).stale);
    assert_eq!(
        freshness(&Head { time: 0, ..head }, None, Some(now)).age_ms,
        None
    );
    assert_eq!(
        freshness(&head, None, Some(head.time - 600_000)).age_ms,
        Some(0)
    );
    let ahead = freshness(&head, None, Some(head.time - 600_001));
    assert_eq!((ahead.age_ms, ahead.ahead), (None, true));
}

#[test]
fn demand__met_and_covered() {
    let head = Feed::new(10).head().head;
    let now = Some(head.time + 1000);
    let n = |n| Demand { n, ..Demand::ANY };
    let age = |max_age_ms| Demand {
        max_age_ms,
        ..Demand::ANY
    };
    assert!(Demand::ANY.is_met(&head, now));
    assert!(Demand::ANY.is_met(&head, None));
    assert!(n(10).is_met(&head, now));
    assert!(!n(11).is_met(&head, now));
    assert!(!Demand {
        epoch: 1,
        ..Demand::ANY
    }
    .is_met(&head, now));
    assert!(n(11).is_met(
        &Head {
            epoch: 1,
            n: 3,
            ..head
        },
        now
    ));
    assert!(age(1000).is_met(&head, now));
    assert!(!age(999).is_met(&head, now));
    assert!(!age(u64::MAX - 1).is_met(&head, None));
    assert!(n(10).is_covered_by(&n(11)));
    assert!(!n(11).is_covered_by(&n(10)));
    assert!(age(10).is_covered_by(&age(5)));
    assert!(!age(5).is_covered_by(&Demand::ANY));
}

#[test]
fn token__binds_all_of_it() {
    let id = id();
    let to = Binding {
        port: PORT,
        mac: MAC,
        id: id.as_bytes(),
    };
    let token = Token::new(&SECRET, &to, 77, 3);
    assert_eq!(Token::from_u64(token.to_u64()), token);
    assert!(token.check(&SECRET, &to));
    assert!(!token.check(&SipKey([1, 2]), &to));
    assert!(!token.check(
        &SECRET,
        &Binding {
            port: PORT + 1,
            ..to
        }
    ));
    assert!(!token.check(
        &SECRET,
        &Binding {
            mac: MAC_GROUP,
            ..to
        }
    ));
    assert!(!token.check(&SECRET, &Binding { id: &[0; 32], ..to }));
    for bit in 0..64 {
        assert!(
            !Token::from_u64(token.to_u64() ^ 1 << bit).check(&SECRET, &to),
            "bit {bit}"
        );
    }
    assert_eq!(
        Token::new(&SECRET, &to, (1 << 24) + 77, 3),
        token,
        "slots have 24 bits"
    );
}

#[test]
fn cookie__lasts_one_to_two_periods() {
    let start = 10 * COOKIE_PERIOD_MS;
    let given = cookie::cookie(&SECRET, PORT, &MAC, start + 5);
    assert_ne!(given, 0);
    let holds = |now| cookie::check(&SECRET, PORT, &MAC, now, given);
    assert!(holds(start));
    assert!(holds(start + 2 * COOKIE_PERIOD_MS - 1));
    assert!(!holds(start + 2 * COOKIE_PERIOD_MS));
    assert!(!holds(start - 1));
    assert!(!cookie::check(&SECRET, PORT + 1, &MAC, start, given));
    assert!(!cookie::check(&SECRET, PORT, &MAC_GROUP, start, given));
    assert!(!cookie::check(&SECRET, PORT, &MAC, start, 0));
    // The first period has none before it.
    let first = cookie::cookie(&SECRET, PORT, &MAC, 0);
    assert!(cookie::check(&SECRET, PORT, &MAC, 0, first));
}

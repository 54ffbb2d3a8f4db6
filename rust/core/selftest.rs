// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The test that the module runs when a debug build is loaded, before anything else: does this
//! machine, with this compiler and these flags, compute what the protocol says?
//!
//! A part of tests/vectors in tables; the host's tests run all of it.

use crate::blob::{chunk_count, page_hash, WindowHasher, CHUNK};
use crate::error::Drop;
use crate::head::SignedHead;
use crate::id::{Hash, HashBuf, Hashes, Name};
use crate::leaf::{Leaf, LEAF_LEN};
use crate::proof;
use crate::sign::{PublicKey, Seed};
use crate::siphash::{siphash24, SipKey};
use crate::tree::{root, Peaks};
use crate::wire::{FrameView, Message};

/// Bytes from hex digits. Only ever run by the compiler; a wrong table fails its test.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            _ => digit.wrapping_sub(b'a').wrapping_add(10),
        }
    }
    let mut out = [0; N];
    let mut rest = digits.as_bytes();
    let mut room: &mut [u8] = &mut out;
    while let (Some((pair, later)), Some((slot, free))) =
        (rest.split_first_chunk::<2>(), room.split_first_mut())
    {
        let [high, low] = *pair;
        *slot = value(high) << 4 | value(low);
        rest = later;
        room = free;
    }
    out
}

/// Byte `i` is `i % 251`.
static PATTERN: [u8; 4096] = {
    let mut bytes = [0; 4096];
    let mut room: &mut [u8] = &mut bytes;
    let mut next = 0;
    while let Some((slot, free)) = room.split_first_mut() {
        *slot = next;
        next = if next == 250 { 0 } else { next.wrapping_add(1) };
        room = free;
    }
    bytes
};

/// Lengths of [`PATTERN`] and their hashes, from BLAKE3's test_vectors.json (CC0-1.0).
const BLAKE3: &[(u32, [u8; 32])] = &[
    (
        0,
        hex("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    ),
    (
        1,
        hex("2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
    ),
    (
        64,
        hex("4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"),
    ),
    (
        1023,
        hex("10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"),
    ),
    (
        1024,
        hex("42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    ),
    (
        1025,
        hex("d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
    ),
    (
        2048,
        hex("e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"),
    ),
    (
        2049,
        hex("5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"),
    ),
    (
        3072,
        hex("b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"),
    ),
    (
        3073,
        hex("7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"),
    ),
    (
        4096,
        hex("015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"),
    ),
];

/// Length of the input 00 01 02 ..., key the same bytes, and the result, from the paper on SipHash.
const SIPHASH: &[(usize, u64)] = &[(0, 0x726f_db47_dd0e_0e31), (15, 0xa129_ca61_49be_45e5)];

/// Seed, public key, message, signature.
pub type SignVector = ([u8; 32], [u8; 32], &'static [u8], [u8; 64]);

/// RFC 8032 section 7.1, tests 1 to 3.
pub const RFC_8032: &[SignVector] = &[
    (
        hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
        hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        &[],
        hex(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
         c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
    ),
    (
        hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
        hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        &[0x72],
        hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e\
         458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ),
    (
        hex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"),
        hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
        &[0xaf, 0x82],
        hex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290\
         ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ),
];

/// Public key, message, signature, verdict.
type VerdictVector = ([u8; 32], [u8; 32], [u8; 64], bool);

/// The 12 cases of ed25519-speccheck (Apache-2.0).
const SPECCHECK: &[VerdictVector] = &[
    (
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
        hex("8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6"),
        hex(
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000\
         000000000000000000000000000000000000000000000000",
        ),
        false,
    ),
    (
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
        hex("9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79"),
        hex(
            "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc\
         476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
        false,
    ),
    (
        hex("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"),
        hex("aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab"),
        hex(
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b2\
         4fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        ),
        false,
    ),
    (
        hex("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d"),
        hex("9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79"),
        hex(
            "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d\
         62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        ),
        true,
    ),
    (
        hex("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d"),
        hex("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c"),
        hex(
            "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b72\
         3e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        ),
        true,
    ),
    (
        hex("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d"),
        hex("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c"),
        hex(
            "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f710\
         76f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        ),
        true,
    ),
    (
        hex("442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623"),
        hex("85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40"),
        hex(
            "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd\
         04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        ),
        false,
    ),
    (
        hex("442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623"),
        hex("85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40"),
        hex(
            "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2\
         f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        ),
        false,
    ),
    (
        hex("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"),
        hex("9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41"),
        hex(
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edc\
         d92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        ),
        false,
    ),
    (
        hex("f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"),
        hex("9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41"),
        hex(
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982\
         aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        ),
        false,
    ),
    (
        hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        hex("e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b"),
        hex(
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc\
         476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
        false,
    ),
    (
        hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        hex("39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f"),
        hex(
            "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc\
         476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        ),
        false,
    ),
];

/// Seed, name and discovery id of the sample feed, from tests/vectors/feed as all that follows.
const NAME: ([u8; 32], [u8; 32], [u8; 32]) = (
    [0x11; 32],
    hex("d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"),
    hex("b563858ef09da814a23910f232af2221b5593ed2019ced1ac0f8e2d166f3f0f8"),
);

/// Its first five leaves, and the root of each of their prefixes.
const LEAVES: &[([u8; 64], [u8; 32])] = &[
    (
        hex(
            "0000000000000000000000000000000000f451c28c0100000700000000000000effc308982c4c66d\
         0032b355eb8f702f977f2d5f7b882b7da9ebd8a2ecf2a307",
        ),
        hex("37b44279362c17dd9c4412688511d7283c6ab4c01179780f8059f1ab93b3fe51"),
    ),
    (
        hex(
            "01000000000000000700000000000000e8f751c28c0100000700000001000000c8550912f358c92d\
         961d1948488a4433f13baaa7ea8d04feccfd21a46d07302b",
        ),
        hex("6c1156a8ed715ef394990fbdcc05ae1225a4aa313622e17cb7f299b938907dca"),
    ),
    (
        hex(
            "02000000000000000e00000000000000d0fb51c28c010000070000000200000093fd5f2c10d3e2e2\
         f89ebb4ceebbf257b3b8ad980f7b0921594a30254a51f6bd",
        ),
        hex("12e994d0688ea98aa0f4f42cb3ec31dd8b4f9d613259d411d35b54def1ca59c2"),
    ),
    (
        hex(
            "03000000000000001500000000000000b8ff51c28c01000007000000030000001e277c18ecccf40f\
         13221afe0b8cb4199974b689e3d7820a43793a5ed7af519b",
        ),
        hex("fc9407fb90711e2336473630270f2a94996caab43247f7f3996abfad1c6e5b6c"),
    ),
    (
        hex(
            "04000000000000001c00000000000000a00352c28c0100000700000000000000e9eb4897bc173f09\
         4b86dc2de92e3f2f5d76eec40dfb02318a7a5b5c578972f7",
        ),
        hex("48ea6c19980cc21b1f72e303a74d5f42d7b617b787097886e0e00931e4067b96"),
    ),
];

/// Siblings of entry 2 in the tree of five.
const INCLUSION: &[[u8; 32]] = &[
    hex("e5ebb4c8a21d412cc7bed55f700b7f75c1366b5abf3908ee660e96ba1723016b"),
    hex("6f2c12f2b8677b37b47dcbf7cee46169adf716943c329911dc69f6a9ce68bdc4"),
    hex("88557916f10c1b8ad0ff926e419d06bed789ee71ddea04d822f06fc88c3e06b1"),
];

/// Proof that the tree of three is a prefix of the tree of five.
const CONSISTENCY: &[[u8; 32]] = &[
    hex("d3e84f2e908cd62f9ab3b654d528f9a95620d2d312ed9c63d8e8b6c457ad8844"),
    hex("e5ebb4c8a21d412cc7bed55f700b7f75c1366b5abf3908ee660e96ba1723016b"),
    hex("6f2c12f2b8677b37b47dcbf7cee46169adf716943c329911dc69f6a9ce68bdc4"),
    hex("88557916f10c1b8ad0ff926e419d06bed789ee71ddea04d822f06fc88c3e06b1"),
];

/// A frame with the HEAD of seventy entries.
const FRAME: [u8; 200] = hex(
    "0100b000000000000000000000000000411aa15e55d6fa4e0200b0000100000003020144e64a6b38\
         01000000000000004600000000000000700553c28c0100000000000000000000d04ab232742bb4ab\
         3a1368bd4615e4e6d0224ab71a016baf8520a332c977873730e8289b91614d61bee81fa0b2348c01\
         7cca992a8f951b91f8e384eb823587661e626bea4d897c21c5354046c47fbdf292289b6a8c53c611\
         154bbbd9d745ef3b0b76b5e7961968602efb7875456d513a5ff1d21c1c0e6ce4628b9810acd8760d",
);

/// Runs all of it. The text names what failed.
///
/// Context: process; needs about 7 KiB of stack, as every signature does.
pub fn run() -> Result<(), &'static str> {
    type Step = (fn() -> Option<()>, &'static str);
    let steps: &[Step] = &[
        (siphash, "siphash"),
        (blake3, "blake3"),
        (blake3_chunks, "blake3 by chunks"),
        (ed25519, "ed25519"),
        (speccheck, "ed25519 verdicts"),
        (names, "names"),
        (trees, "trees"),
        (proofs, "proofs"),
        (frames, "frames"),
    ];
    for (step, name) in steps {
        step().ok_or(*name)?;
    }
    Ok(())
}

fn holds(condition: bool) -> Option<()> {
    condition.then_some(())
}

fn siphash() -> Option<()> {
    let key = SipKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
    SIPHASH.iter().try_for_each(|(len, expected)| {
        holds(siphash24(&key, &[PATTERN.get(..*len)?]) == *expected)
    })
}

fn blake3() -> Option<()> {
    BLAKE3.iter().try_for_each(|(len, expected)| {
        let bytes = PATTERN.get(..usize::try_from(*len).ok()?)?;
        holds(blake3::hash(bytes).as_bytes() == expected)
    })
}

// Functions that are not inlined keep each stack frame small, here and below.

/// The way of chunk mode: each chunk by itself, then the page.
#[inline(never)]
fn blake3_chunks() -> Option<()> {
    blake3_with(&mut WindowHasher::new())
}

#[inline(never)]
fn blake3_with(hasher: &mut WindowHasher) -> Option<()> {
    BLAKE3
        .iter()
        .try_for_each(|(len, expected)| holds(hash_by_chunks(hasher, *len)?.0 == *expected))
}

#[inline(never)]
fn hash_by_chunks(hasher: &mut WindowHasher, len: u32) -> Option<Hash> {
    let mut rest = PATTERN.get(..usize::try_from(len).ok()?)?;
    let mut page: HashBuf<4> = HashBuf::default();
    for index in 0..chunk_count(len) {
        let (chunk, later) = rest.split_at_checked(CHUNK as usize).unwrap_or((rest, &[]));
        holds(page.push(&hasher.chunk_cv(len, index, chunk).ok()?))?;
        rest = later;
    }
    Some(page_hash(len, page.hashes()))
}

fn ed25519() -> Option<()> {
    RFC_8032
        .iter()
        .try_for_each(|(seed, key, message, signature)| {
            let derived = Seed::new(*seed).ok()?.public_key();
            holds(derived == PublicKey(*key))?;
            derived.verify_untagged(message, signature).ok()
        })
}

fn speccheck() -> Option<()> {
    SPECCHECK
        .iter()
        .try_for_each(|(key, message, signature, accepted)| {
            holds(PublicKey(*key).verify_untagged(message, signature).is_ok() == *accepted)
        })
}

fn names() -> Option<()> {
    let (seed, name, id) = NAME;
    holds(Seed::new(seed).ok()?.public_key() == PublicKey(name))?;
    holds(Name(name).id().0 == id)
}

fn trees() -> Option<()> {
    let mut peaks = const { Peaks::new() };
    holds(root(0, &Hash::ZERO) == Hash::ZERO)?;
    LEAVES
        .iter()
        .try_for_each(|(leaf, root)| holds(root_after(&mut peaks, leaf)?.0 == *root))
}

#[inline(never)]
fn root_after(peaks: &mut Peaks, leaf: &[u8; LEAF_LEN]) -> Option<Hash> {
    peaks
        .push(&Leaf::parse(leaf).ok()?.hash(), |_, _| ())
        .ok()?;
    Some(peaks.root())
}

fn proofs() -> Option<()> {
    let n = LEAVES.len() as u64;
    let (_, root) = LEAVES.last()?;
    let (leaf, root_of_3) = LEAVES.get(2)?;
    let (leaf, root) = (Leaf::parse(leaf).ok()?.hash(), Hash(*root));
    let siblings = Hashes::of(INCLUSION);
    proof::verify_inclusion(&leaf, 2, n, siblings, &root, |_, _| ()).ok()?;
    let wrong = proof::verify_inclusion(&leaf, 3, n, siblings, &root, |_, _| ());
    holds(wrong == Err(Drop::ProofMismatch))?;
    proof::verify_cons(
        3,
        &Hash(*root_of_3),
        n,
        &root,
        Hashes::of(CONSISTENCY),
        |_, _| (),
    )
    .ok()
}

fn frames() -> Option<()> {
    let frame = FrameView::parse(&FRAME).ok()?;
    let Message::Head(message) = frame.messages().next()?.ok()? else {
        return None;
    };
    let mut signed = message.head().ok()?;
    verify(&signed, Ok(()))?;
    sign_again(&signed)?;
    *signed.bytes.last_mut()? ^= 1;
    verify(&signed, Err(Drop::BadSignature))
}

#[inline(never)]
fn verify(signed: &SignedHead, verdict: Result<(), Drop>) -> Option<()> {
    let (_, name, _) = NAME;
    holds(signed.verify(&PublicKey(name)) == verdict)
}

/// Signing is deterministic: the same seed makes the same bytes.
#[inline(never)]
fn sign_again(signed: &SignedHead) -> Option<()> {
    let (seed, _, _) = NAME;
    let again = signed.head.sign(&Seed::new(seed).ok()?).ok()?;
    holds(again.bytes == signed.bytes)
}

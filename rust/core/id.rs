// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Names of feeds and blobs, the discovery id, and the text form.

use core::fmt;
use core::str::FromStr;

use crate::error::Drop;

/// The only kind of name in version 1.
pub const NAME_KIND: u8 = 0;

/// The period of an id that does not change with time; others are reserved for blinded names.
pub const PERIOD_NONE: u64 = 0;

const TAG_ID: &[u8; 12] = b"AF_FEED 1 id";

macro_rules! thirty_two_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(transparent)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
    };
}

thirty_two_bytes! {
    /// A feed's name: its Ed25519 name key.
    Name
}
thirty_two_bytes! {
    /// A hash in one of the trees, a root, or a BLAKE3 chaining value.
    Hash
}
thirty_two_bytes! {
    /// What a lookup says instead of the name.
    DiscoveryId
}

impl Hash {
    /// The root of a feed without entries.
    pub const ZERO: Hash = Hash([0; 32]);
}

impl Name {
    /// The id under which the network looks the feed up.
    pub fn discovery_id(&self, kind: u8, period: u64) -> DiscoveryId {
        let mut message = [0u8; 21];
        crate::bytes::Writer::new(&mut message)
            .put(TAG_ID)
            .u8(kind)
            .u64(period);
        DiscoveryId(*blake3::keyed_hash(&self.0, &message).as_bytes())
    }

    /// The id of version 1.
    pub fn id(&self) -> DiscoveryId {
        self.discovery_id(NAME_KIND, PERIOD_NONE)
    }
}

/// A blob's name everywhere: with a wrong length its first chunks would still verify.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlobName {
    /// BLAKE3 of the bytes.
    pub hash: Hash,
    /// Their number, at most [`crate::wire::MAX_BLOB_LEN`].
    pub len: u32,
}

/// Hashes that lie one after the other, as they travel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hashes<'a>(&'a [u8]);

impl<'a> Hashes<'a> {
    /// No hashes.
    pub const NONE: Hashes<'static> = Hashes(&[]);

    /// `None` if the length is no multiple of 32.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() & 31 == 0).then_some(Hashes(bytes))
    }

    /// A view of arrays.
    pub fn of(arrays: &'a [[u8; 32]]) -> Self {
        Hashes(arrays.as_flattened())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() >> 5
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash at `index`.
    pub fn get(&self, index: usize) -> Option<Hash> {
        let (_, rest) = self.0.split_at_checked(index.checked_mul(32)?)?;
        Some(Hash(*rest.first_chunk()?))
    }

    /// All but the first `count`.
    pub fn skip(&self, count: usize) -> Self {
        let bytes = count
            .checked_mul(32)
            .and_then(|at| self.0.split_at_checked(at));
        Hashes(bytes.map_or(&[], |(_, rest)| rest))
    }

    /// All of them in order.
    pub fn iter(&self) -> HashIter<'a> {
        HashIter(self.0)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// Iterator over [`Hashes`].
///
/// Its own, since that of `chunks_exact()` brings in arithmetic that can panic where it is zipped.
#[derive(Clone, Debug)]
pub struct HashIter<'a>(&'a [u8]);

impl Iterator for HashIter<'_> {
    type Item = Hash;

    fn next(&mut self) -> Option<Hash> {
        let (hash, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(Hash(*hash))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.0.len() >> 5;
        (len, Some(len))
    }
}

impl DoubleEndedIterator for HashIter<'_> {
    fn next_back(&mut self) -> Option<Hash> {
        let (rest, hash) = self.0.split_last_chunk()?;
        self.0 = rest;
        Some(Hash(*hash))
    }
}

impl ExactSizeIterator for HashIter<'_> {}

/// Room for up to `N` hashes of a proof that is being put together.
#[derive(Clone, Debug)]
pub struct HashBuf<const N: usize> {
    arrays: [[u8; 32]; N],
    len: usize,
}

impl<const N: usize> Default for HashBuf<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> HashBuf<N> {
    /// Without any.
    pub const fn new() -> Self {
        HashBuf {
            arrays: [[0; 32]; N],
            len: 0,
        }
    }

    /// Adds one, or says that there is no room.
    pub fn push(&mut self, hash: &Hash) -> bool {
        match self.arrays.get_mut(self.len) {
            Some(slot) => {
                *slot = hash.0;
                self.len = self.len.saturating_add(1);
                true
            }
            None => false,
        }
    }

    /// Takes the last one off.
    pub fn pop(&mut self) -> Option<Hash> {
        let last = self.len.checked_sub(1)?;
        let hash = self.arrays.get(last).copied().map(Hash);
        self.len = last;
        hash
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What lies from `at` on, pushed or left there by what was popped.
    pub(crate) fn peek(&self, at: usize, hashes: &mut [[u8; 32]]) {
        let held = self.arrays.get(at..).unwrap_or_default();
        for (to, from) in hashes.iter_mut().zip(held) {
            *to = *from;
        }
    }

    /// Makes it `len` long again and puts `hashes` from `at` on, as [`HashBuf::peek`] has found them:
    /// undoes pops and the pushes that followed them, for what was popped stays until something
    /// else takes its place.
    pub(crate) fn rewind(&mut self, len: usize, at: usize, hashes: &[[u8; 32]]) {
        let places = self.arrays.get_mut(at..).unwrap_or_default();
        for (to, from) in places.iter_mut().zip(hashes) {
            *to = *from;
        }
        self.len = len.min(N);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// What was pushed.
    pub fn hashes(&self) -> Hashes<'_> {
        Hashes::of(self.arrays.get(..self.len).unwrap_or_default())
    }
}

/// `feed:` and 64 lower-case hex digits, and `/SEQ` where one entry is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedText {
    /// The feed.
    pub name: Name,
    /// The entry, if the text names one.
    pub seq: Option<u64>,
}

impl fmt::Display for FeedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("feed:")?;
        write_hex(f, &self.name.0)?;
        match self.seq {
            Some(seq) => write!(f, "/{seq}"),
            None => Ok(()),
        }
    }
}

impl FromStr for FeedText {
    type Err = Drop;

    /// Takes exactly the form that `Display` writes: no upper case, no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, Drop> {
        // Searching for the slash would bring in arithmetic that can panic, and it has one place.
        let rest = text.strip_prefix("feed:").ok_or(Drop::BadText)?;
        let (digits, rest) = rest.split_at_checked(64).ok_or(Drop::BadText)?;
        let seq = match rest.strip_prefix('/') {
            Some(seq) => Some(parse_seq(seq)?),
            None if rest.is_empty() => None,
            None => return Err(Drop::BadText),
        };
        Ok(FeedText {
            name: Name(parse_hex(digits)?),
            seq,
        })
    }
}

/// `str::parse` would bring in arithmetic that can panic.
fn parse_seq(text: &str) -> Result<u64, Drop> {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if text.is_empty() || leading_zero {
        return Err(Drop::BadText);
    }
    let append = |seq: u64, digit: u8| {
        let value = digit.checked_sub(b'0').filter(|value| *value < 10)?;
        seq.checked_mul(10)?.checked_add(u64::from(value))
    };
    let seq = text.bytes().try_fold(0, append).ok_or(Drop::BadText)?;
    if seq < crate::wire::MAX_ENTRIES {
        Ok(seq)
    } else {
        Err(Drop::BadText)
    }
}

fn parse_hex(text: &str) -> Result<[u8; 32], Drop> {
    let mut out = [0u8; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(Drop::BadText);
    }
    for (to, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *to = pair
            .iter()
            .try_fold(0u8, |byte, digit| Some(byte << 4 | nibble(*digit)?))
            .ok_or(Drop::BadText)?;
    }
    Ok(out)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    use fmt::Write;
    let digit = |n: u8| {
        char::from(if n < 10 {
            b'0'.wrapping_add(n)
        } else {
            b'a'.wrapping_sub(10).wrapping_add(n)
        })
    };
    for byte in bytes {
        f.write_char(digit(byte >> 4))?;
        f.write_char(digit(byte & 15))?;
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Little-endian cursors over byte slices, without a panic path.

/// Reads fields from the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|b| u8::from_le_bytes(*b))
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(|b| u16::from_le_bytes(*b))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|b| u32::from_le_bytes(*b))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|b| u64::from_le_bytes(*b))
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Writes fields to the front of a slice. What does not fit is left out and `ok` says so.
pub(crate) struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
    ok: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buf: &'a mut [u8]) -> Self {
        Writer {
            buf,
            at: 0,
            ok: true,
        }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.at.saturating_add(bytes.len());
        match self.buf.get_mut(self.at..end) {
            Some(room) if self.ok => {
                // The lengths are equal by construction; zip keeps the compiler from doubting it.
                for (to, from) in room.iter_mut().zip(bytes) {
                    *to = *from;
                }
                self.at = end;
            }
            _ => self.ok = false,
        }
        self
    }

    pub(crate) fn u8(&mut self, v: u8) -> &mut Self {
        self.put(&[v])
    }

    pub(crate) fn u16(&mut self, v: u16) -> &mut Self {
        self.put(&v.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, v: u32) -> &mut Self {
        self.put(&v.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, v: u64) -> &mut Self {
        self.put(&v.to_le_bytes())
    }

    /// Whether everything fitted, and how much was written.
    pub(crate) fn finish(&self) -> Option<usize> {
        self.ok.then_some(self.at)
    }
}

/// Whether two names or hashes are the same: by words, as a call of memcmp costs more than the comparison.
#[inline]
pub(crate) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let words = one.chunks_exact(8).zip(other.chunks_exact(8));
    words.fold(0, |all, (one, other)| {
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        all | word(one) ^ word(other)
    }) == 0
}

// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The reader's side of a feed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::entry::{Entry, EntryInfo, Info, MappedBytes, MappedEntry};
use crate::error::{Error, Result};
use crate::head::{Fork, Head};
use crate::name::Name;
use crate::{family, sys};

/// Room for an entry whose length is not known yet. What is longer takes a second call, what is
/// shorter wastes the clearing of the rest.
const FIRST_ROOM: usize = 16 << 10;

/// Where to start, and how patiently.
///
/// ```no_run
/// use std::time::Duration;
///
/// let name: feed::Name = std::env::args().nth(1).unwrap_or_default().parse()?;
/// let reader = feed::ReaderOptions::new().from(10).timeout(Duration::from_secs(1)).open(name)?;
/// for entry in reader.entries() {
///     let entry = entry?;
///     println!("{}: {} bytes, {} hops", entry.info.seq, entry.data.len(), entry.info.hops);
/// }
/// # Ok::<(), feed::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReaderOptions {
    seq: u64,
    timeout: Option<Duration>,
    nonblocking: bool,
}

impl ReaderOptions {
    /// From the first entry on, waiting five seconds for the network.
    pub fn new() -> ReaderOptions {
        ReaderOptions::default()
    }

    /// From entry `seq` on.
    pub fn from(mut self, seq: u64) -> ReaderOptions {
        self.seq = seq;
        self
    }

    /// Only entries to come.
    pub fn only_new(mut self) -> ReaderOptions {
        self.seq = sys::SEQ_NEW;
        self
    }

    /// How long connecting and reading wait for the network.
    pub fn timeout(mut self, timeout: Duration) -> ReaderOptions {
        self.timeout = Some(timeout);
        self
    }

    /// As `O_NONBLOCK`: the socket is writable when a head is there, [`Reader::connected`] tells
    /// how it went.
    pub fn nonblocking(mut self) -> ReaderOptions {
        self.nonblocking = true;
        self
    }

    /// Finds the feed: waits until a verified head is held.
    pub fn open(&self, name: Name) -> Result<Reader> {
        let family = family();
        let fd = sys::socket(family, self.nonblocking)
            .map_err(|e| Error::os("open a feed socket", e))?;
        let reader = Reader { fd, name };
        if let Some(timeout) = self.timeout {
            reader.set_timeout(timeout)?;
        }
        let addr = sys::SockAddr {
            family,
            flags: 0,
            reserved: 0,
            seq: self.seq,
            key: name.0,
        };
        match sys::connect(reader.fd.as_fd(), &addr) {
            Err(e) if self.nonblocking && e.raw_os_error() == Some(libc::EINPROGRESS) => {}
            result => result.map_err(|e| Error::os("find the feed", e))?,
        }
        Ok(reader)
    }
}

/// The next piece of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece {
    /// This many bytes were read.
    Bytes {
        /// Their number; 0 only for an empty entry.
        len: usize,
        /// Whether the entry ends with them.
        end: bool,
        /// What is known of the entry.
        info: EntryInfo,
    },
    /// The feed is closed and was read to its end.
    End,
}

/// A reader of one feed: a position in it.
#[derive(Debug)]
pub struct Reader {
    fd: OwnedFd,
    name: Name,
}

impl Reader {
    /// From the first entry on.
    pub fn open(name: Name) -> Result<Reader> {
        ReaderOptions::new().open(name)
    }

    /// The feed.
    pub fn name(&self) -> Name {
        self.name
    }

    /// How a connect in the background ended; ask when the socket has become writable.
    pub fn connected(&self) -> Result<()> {
        sys::socket_error(self.fd.as_fd()).map_err(|e| Error::os("find the feed", e))
    }

    /// Reads the next piece of the current entry into `buf`.
    pub fn read(&self, buf: &mut [u8]) -> Result<Piece> {
        let got = sys::receive(self.fd.as_fd(), buf, 0).map_err(|e| Error::os("read", e))?;
        if got.len == 0 && !got.end && !buf.is_empty() {
            return Ok(Piece::End);
        }
        match got.info {
            Some(info) => Ok(Piece::Bytes {
                len: got.len,
                end: got.end,
                info: (&info).into(),
            }),
            // Bytes without their record: a kernel with another ABI.
            None => Err(Error::os(
                "read",
                io::Error::from_raw_os_error(libc::EPROTO),
            )),
        }
    }

    /// The next whole entry; `None` at the end of a closed feed. Waits for entries that do not
    /// exist yet.
    pub fn next_entry(&self) -> Result<Option<Entry>> {
        let mut data = Vec::new();
        Ok(self.next_into(&mut data)?.map(|info| Entry { data, info }))
    }

    /// As [`next_entry`](Self::next_entry), into a buffer that is used again and again.
    pub fn next_into(&self, data: &mut Vec<u8>) -> Result<Option<EntryInfo>> {
        data.clear();
        data.resize(FIRST_ROOM, 0);
        let mut filled = 0;
        let mut started = None;
        loop {
            let piece = match self.read(&mut data[filled..]) {
                Ok(piece) => piece,
                Err(error) => {
                    // Go back, so that the next call gives the whole entry and not its rest.
                    if let Some(seq) = started {
                        self.seek(seq, 0)?;
                    }
                    data.clear();
                    return Err(error);
                }
            };
            match piece {
                Piece::End => {
                    data.clear();
                    return Ok(None);
                }
                Piece::Bytes { len, end, info } => {
                    filled += len;
                    if end {
                        data.truncate(filled);
                        return Ok(Some(info));
                    }
                    started = Some(info.seq);
                    // The first piece tells the length, so this grows once.
                    let room = usize::try_from(info.len)
                        .unwrap_or(0)
                        .max(filled + FIRST_ROOM);
                    data.resize(room, 0);
                }
            }
        }
    }

    /// The next whole entry as [`next_entry`](Self::next_entry) has it, but not copied: the pages of
    /// the node's store become this program's, to read.
    ///
    /// Fails with `ENOBUFS` when more would be pinned than `RLIMIT_MEMLOCK` allows.
    pub fn map_entry(&self) -> Result<Option<MappedEntry>> {
        let raw: sys::EntryInfo = match sys::option(self.fd.as_fd(), sys::OPT_MAP) {
            Err(e) if e.raw_os_error() == Some(libc::ENODATA) => return Ok(None),
            result => result.map_err(|e| Error::os("take an entry to map", e))?,
        };
        let info = EntryInfo::from(&raw);
        match sys::map(self.fd.as_fd(), info.seq, raw.len as usize) {
            Ok(map) => Ok(Some(MappedEntry { map, info })),
            Err(e) => {
                // It was taken: go back, so that the next call gives it again.
                self.seek(info.seq, 0)?;
                Err(Error::os("map an entry", e))
            }
        }
    }

    /// The first `len` bytes of entry `seq`, if all of the entry is in the node's store. The cursor
    /// stays where it is.
    ///
    /// Fails with `ENODATA` if it is not: [`seek`](Self::seek) and [`map_entry`](Self::map_entry)
    /// have it fetched.
    pub fn map_at(&self, seq: u64, len: usize) -> Result<MappedBytes> {
        sys::map(self.fd.as_fd(), seq, len)
            .map(MappedBytes)
            .map_err(|e| Error::os("map an entry", e))
    }

    /// All entries from here on, for ever or until a closed feed ends.
    pub fn entries(&self) -> Entries<'_> {
        Entries { reader: self }
    }

    /// Moves up to `len` bytes of the current entry into a pipe, by reference: the pages of the
    /// store are not copied. Never crosses an entry; 0 is an empty entry or the end.
    pub fn splice(&self, pipe: impl AsFd, len: usize) -> Result<usize> {
        sys::splice(self.fd.as_fd(), pipe.as_fd(), len).map_err(|e| Error::os("splice", e))
    }

    /// Goes to byte `offset` of entry `seq`.
    pub fn seek(&self, seq: u64, offset: u64) -> Result<()> {
        sys::set_option(self.fd.as_fd(), sys::OPT_SEEK, &sys::Seek { seq, offset })
            .map_err(|e| Error::os("seek", e))
    }

    /// The newest verified head that is held.
    pub fn head(&self) -> Result<Head> {
        crate::held_head(self.fd.as_fd())
    }

    /// State and counters.
    pub fn info(&self) -> Result<Info> {
        crate::info(self.fd.as_fd())
    }

    /// The proof that this feed is forked, if there is one.
    pub fn fork(&self) -> Result<Option<Fork>> {
        let raw: sys::Fork = match sys::option(self.fd.as_fd(), sys::OPT_FORK) {
            Err(e) if e.raw_os_error() == Some(libc::ENODATA) => return Ok(None),
            result => result.map_err(|e| Error::os("read the fork's evidence", e))?,
        };
        let proof = raw.proof.iter().take(raw.proof_len as usize);
        Ok(Some(Fork {
            held: Head::from_bytes(&raw.a)?,
            other: Head::from_bytes(&raw.b)?,
            proof: proof.flatten().copied().collect(),
        }))
    }

    /// How long reading waits for the network to bring an entry that exists.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        sys::set_option(self.fd.as_fd(), sys::OPT_TIMEOUT, &ms)
            .map_err(|e| Error::os("set the timeout", e))
    }

    /// How long reading waits for an entry that does not exist yet; `None`: for ever. When the
    /// time is over the error is one that [`Error::is_would_block`] knows.
    pub fn set_patience(&self, patience: Option<Duration>) -> Result<()> {
        sys::set_receive_timeout(self.fd.as_fd(), patience)
            .map_err(|e| Error::os("set SO_RCVTIMEO", e))
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Reader> for OwnedFd {
    fn from(reader: Reader) -> OwnedFd {
        reader.fd
    }
}

/// Iterator over the entries of a [`Reader`].
#[derive(Debug)]
pub struct Entries<'a> {
    reader: &'a Reader,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        self.reader.next_entry().transpose()
    }
}

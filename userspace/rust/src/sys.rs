// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! The system calls, and the records that cross them: the only unsafe code of this crate.

use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, c_void};

pub(crate) const AF_FEED: u16 = 18;
pub(crate) const SOL_FEED: c_int = 300;

pub(crate) const BIND_NEW: u16 = 0x0001;
pub(crate) const SEQ_NEW: u64 = u64::MAX;

pub(crate) const OPT_SECRET_KEY: c_int = 1;
pub(crate) const OPT_PUBLIC_KEY: c_int = 3;
pub(crate) const OPT_AUTHOR_HEAD: c_int = 4;
pub(crate) const OPT_HEAD: c_int = 5;
pub(crate) const OPT_SEEK: c_int = 6;
pub(crate) const OPT_INFO: c_int = 8;
pub(crate) const OPT_FINAL: c_int = 10;
pub(crate) const OPT_NEXT_BY: c_int = 11;
pub(crate) const OPT_FORK: c_int = 12;
pub(crate) const OPT_TIMEOUT: c_int = 13;
pub(crate) const OPT_MAP: c_int = 14;
/// An entry has so many bits of mmap()'s offset.
pub(crate) const MAP_SHIFT: u32 = 24;

const CMSG_ENTRY: c_int = 1;
const CMSG_APPEND: c_int = 2;

pub(crate) const ENTRY_NETWORK: u16 = 0x0001;
pub(crate) const ENTRY_STALE: u16 = 0x0002;
pub(crate) const ENTRY_AGE_UNKNOWN: u16 = 0x0004;

pub(crate) const APPEND_TIME: u32 = 0x0001;
pub(crate) const APPEND_EMPTY: u32 = 0x0002;

pub(crate) const MSG_MORE: c_int = libc::MSG_MORE;

/// A record that the kernel reads or writes as bytes.
///
/// # Safety
///
/// The type is `repr(C)` without padding and every bit pattern is a value of it.
pub(crate) unsafe trait Plain: Copy {
    /// All zeros.
    fn zeroed() -> Self;
}

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        #[cfg(test)]
        impl $name {
            const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), size_of::<$type>())),*];
        }

        const _: () = assert!(size_of::<$name>() == $size);
        // The sum of the fields is the whole: no padding that would leak or be undefined.
        const _: () = assert!(0 $(+ size_of::<$type>())* == $size);

        // SAFETY: `repr(C)`, integers and arrays of them only, no padding (asserted above).
        unsafe impl Plain for $name {
            fn zeroed() -> Self {
                // SAFETY: Zeros are a value of every integer.
                unsafe { std::mem::zeroed() }
            }
        }
    };
}

plain! {
    /// `struct sockaddr_feed`
    SockAddr, 48 { family: u16, flags: u16, reserved: u32, seq: u64, key: [u8; 32], }
}
plain! {
    /// `struct feed_seek`
    Seek, 16 { seq: u64, offset: u64, }
}
plain! {
    /// `struct feed_entry_info`
    EntryInfo, 72 {
        seq: u64, time: u64, head_age: u64, len: u32, hops: u16, flags: u16, app_flags: u16,
        reserved: [u16; 3], blob: [u8; 32],
    }
}
plain! {
    /// `struct feed_append`
    Append, 16 { time: u64, flags: u32, app_flags: u16, reserved: u16, }
}
plain! {
    /// `struct feed_info`
    Info, 64 {
        known: u64, next: u64, offset: u64, entries: u64, bytes: u64, fetched: u64, timeouts: u64,
        epoch: u32, in_flight: u32,
    }
}
plain! {
    /// `struct feed_fork`: two heads, and why they exclude each other.
    Fork, 1512 {
        a: [u8; 160], b: [u8; 160], proof_len: u32, reserved: u32, proof: [[u8; 32]; 37],
    }
}

// SAFETY: Integers and arrays of bytes have no padding and take every bit pattern.
unsafe impl Plain for u64 {
    fn zeroed() -> Self {
        0
    }
}
// SAFETY: As above.
unsafe impl Plain for c_int {
    fn zeroed() -> Self {
        0
    }
}
// SAFETY: As above.
unsafe impl<const N: usize> Plain for [u8; N] {
    fn zeroed() -> Self {
        [0; N]
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn socklen<T>() -> libc::socklen_t {
    // Every record here is far below 4 GiB.
    size_of::<T>() as libc::socklen_t
}

/// A socket of family `family`, closed on exec.
pub(crate) fn socket(family: u16, nonblocking: bool) -> io::Result<OwnedFd> {
    let mut kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    if nonblocking {
        kind |= libc::SOCK_NONBLOCK;
    }
    // SAFETY: No pointers are passed.
    let fd = check(unsafe { libc::socket(c_int::from(family), kind, 0) })?;
    // SAFETY: The descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn bind(fd: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<()> {
    // SAFETY: `addr` is readable for the length given.
    check(unsafe {
        libc::bind(
            fd.as_raw_fd(),
            ptr::from_ref(addr).cast(),
            socklen::<SockAddr>(),
        )
    })?;
    Ok(())
}

pub(crate) fn connect(fd: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<()> {
    // SAFETY: `addr` is readable for the length given.
    check(unsafe {
        libc::connect(
            fd.as_raw_fd(),
            ptr::from_ref(addr).cast(),
            socklen::<SockAddr>(),
        )
    })?;
    Ok(())
}

pub(crate) fn set_option<T: Plain>(fd: BorrowedFd<'_>, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is readable for the length given.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            SOL_FEED,
            option,
            ptr::from_ref(value).cast(),
            socklen::<T>(),
        )
    })?;
    Ok(())
}

pub(crate) fn option<T: Plain>(fd: BorrowedFd<'_>, option: c_int) -> io::Result<T> {
    let mut value = T::zeroed();
    let mut len = socklen::<T>();
    // SAFETY: `value` is writable for `len` bytes, and `Plain` says that any bytes are a value.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            SOL_FEED,
            option,
            ptr::from_mut(&mut value).cast(),
            &mut len,
        )
    })?;
    if len != socklen::<T>() {
        // A kernel with another ABI: half a record must not pass for a whole one.
        return Err(io::Error::from_raw_os_error(libc::EPROTO));
    }
    Ok(value)
}

/// The error that a connect in the background ended with, if any.
pub(crate) fn socket_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut error: c_int = 0;
    let mut len = socklen::<c_int>();
    // SAFETY: `error` is writable for `len` bytes.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            ptr::from_mut(&mut error).cast(),
            &mut len,
        )
    })?;
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

/// How long a receive waits for entries that do not exist yet; `None`: for ever.
pub(crate) fn set_receive_timeout(fd: BorrowedFd<'_>, wait: Option<Duration>) -> io::Result<()> {
    // Zero would mean "for ever", which is what None says.
    let wait = wait.map_or(Duration::ZERO, |wait| wait.max(Duration::from_micros(1)));
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::from(wait.subsec_micros()),
    };
    // SAFETY: `time` is readable for the length given.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            ptr::from_ref(&time).cast(),
            socklen::<libc::timeval>(),
        )
    })?;
    Ok(())
}

/// Room for one control message, aligned as control messages want it.
#[repr(C, align(8))]
struct Control([u8; 128]);

fn control_space<T>() -> usize {
    // SAFETY: Pure arithmetic.
    let space = unsafe { libc::CMSG_SPACE(socklen::<T>()) } as usize;
    debug_assert!(space <= size_of::<Control>());
    space
}

#[expect(
    clippy::as_underscore,
    reason = "the fields' types differ between C libraries"
)]
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    parts: &[io::IoSlice<'_>],
    how: Option<&Append>,
    flags: c_int,
) -> io::Result<usize> {
    let mut control = Control([0; 128]);
    // SAFETY: Zeros are a valid msghdr.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice has the layout of iovec on Unix; sendmsg does not write to it.
    msg.msg_iov = parts.as_ptr().cast_mut().cast();
    msg.msg_iovlen = parts.len() as _;
    if let Some(how) = how {
        msg.msg_control = ptr::from_mut(&mut control).cast();
        msg.msg_controllen = control_space::<Append>() as _;
        // SAFETY: The control buffer is large enough for one header and an `Append`, and aligned.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&msg);
            (*header).cmsg_level = SOL_FEED;
            (*header).cmsg_type = CMSG_APPEND;
            (*header).cmsg_len = libc::CMSG_LEN(socklen::<Append>()) as _;
            ptr::copy_nonoverlapping(
                ptr::from_ref(how).cast::<u8>(),
                libc::CMSG_DATA(header),
                size_of_val(how),
            );
        }
    }
    // SAFETY: `msg` points to `parts` and `control`, which live until the call returns.
    check_len(unsafe { libc::sendmsg(fd.as_raw_fd(), &msg, flags | libc::MSG_NOSIGNAL) })
}

/// What one receive brought.
pub(crate) struct Received {
    pub(crate) len: usize,
    /// The entry ends with this piece.
    pub(crate) end: bool,
    pub(crate) info: Option<EntryInfo>,
}

#[expect(
    clippy::as_underscore,
    reason = "the fields' types differ between C libraries"
)]
pub(crate) fn receive(fd: BorrowedFd<'_>, buf: &mut [u8], flags: c_int) -> io::Result<Received> {
    let mut control = Control([0; 128]);
    let mut part = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: Zeros are a valid msghdr.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &mut part;
    msg.msg_iovlen = 1;
    msg.msg_control = ptr::from_mut(&mut control).cast();
    msg.msg_controllen = control_space::<EntryInfo>() as _;
    // SAFETY: `msg` points to `buf` and `control`, which are writable and live until the call
    // returns.
    let len = check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut msg, flags) })?;
    let mut info = None;
    // SAFETY: The kernel has set msg_controllen to what it wrote, so the walk stays inside
    // `control`; a message of our type is at least as long as cmsg_len says.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&msg);
        while !header.is_null() {
            let whole =
                (*header).cmsg_len as usize >= libc::CMSG_LEN(socklen::<EntryInfo>()) as usize;
            if (*header).cmsg_level == SOL_FEED && (*header).cmsg_type == CMSG_ENTRY && whole {
                info = Some(ptr::read_unaligned(
                    libc::CMSG_DATA(header).cast::<EntryInfo>(),
                ));
            }
            header = libc::CMSG_NXTHDR(&msg, header);
        }
    }
    Ok(Received {
        len,
        end: msg.msg_flags & libc::MSG_EOR != 0,
        info,
    })
}

/// Moves up to `len` bytes from a socket into a pipe, or from a pipe into a socket.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    // SAFETY: No offsets are passed.
    check_len(unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            len,
            0,
        )
    })
}

/// Sends up to `len` bytes of a file from its position on.
pub(crate) fn send_file(to: BorrowedFd<'_>, from: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    // SAFETY: No offset is passed.
    check_len(unsafe { libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), ptr::null_mut(), len) })
}

/// An entry in this program's memory.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Dangling if `len` is 0.
    at: ptr::NonNull<u8>,
    len: usize,
}

// SAFETY: Memory that nobody writes, and that any thread may unmap.
unsafe impl Send for Mapping {}
// SAFETY: As above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: Mapped for that many bytes as long as `self` lives, and the kernel lets nobody
        // write them, itself included.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: What `map` has mapped, with nothing borrowed from it any more.
            unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
        }
    }
}

/// Maps the first `len` bytes of entry `seq`.
pub(crate) fn map(fd: BorrowedFd<'_>, seq: u64, len: usize) -> io::Result<Mapping> {
    if len == 0 {
        let at = ptr::NonNull::dangling();
        return Ok(Mapping { at, len });
    }
    // Beyond what can be asked for there are no entries.
    let offset = i64::try_from(seq)
        .ok()
        .and_then(|seq| seq.checked_mul(1 << MAP_SHIFT))
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENODATA))?;
    // SAFETY: The kernel chooses the place.
    let at = unsafe {
        libc::mmap64(
            ptr::null_mut(),
            len,
            libc::PROT_READ,
            libc::MAP_SHARED,
            fd.as_raw_fd(),
            offset,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let at = ptr::NonNull::new(at.cast()).ok_or_else(io::Error::last_os_error)?;
    Ok(Mapping { at, len })
}

/// Random bytes of the kernel's generator.
pub(crate) fn random(buf: &mut [u8; 32]) -> io::Result<()> {
    // SAFETY: `buf` is writable for its length. Up to 256 bytes come whole.
    let got =
        check_len(unsafe { libc::getrandom(buf.as_mut_ptr().cast::<c_void>(), buf.len(), 0) })?;
    if got == buf.len() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}

/// Overwrites a secret; the compiler does not leave this out.
pub(crate) fn wipe(secret: &mut [u8]) {
    // SAFETY: `secret` is writable for its length.
    unsafe { libc::explicit_bzero(secret.as_mut_ptr().cast(), secret.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = include_str!("../../../include/uapi/linux/feed.h");

    /// The fields of a struct of the header, with their sizes.
    fn fields(name: &str) -> Vec<(String, usize)> {
        let heading = format!("struct {name} {{");
        let lines = HEADER.lines().skip_while(|line| *line != heading).skip(1);
        lines.take_while(|line| *line != "};").map(field).collect()
    }

    fn field(line: &str) -> (String, usize) {
        let (kind, rest) = line
            .trim()
            .trim_end_matches(';')
            .rsplit_once([' ', '\t'])
            .unwrap();
        let (name, counts) = rest.split_once('[').unwrap_or((rest, ""));
        let count: usize = counts
            .trim_end_matches(']')
            .split_terminator("][")
            .map(|count| match count {
                "FEED_KEY_LEN" | "FEED_HASH_LEN" => 32,
                "FEED_FORK_PROOF_MAX" => 37,
                _ => count.parse().unwrap(),
            })
            .product();
        let size = match kind.trim() {
            "__u8" => 1,
            "__u16" | "__kernel_sa_family_t" => 2,
            "__u32" => 4,
            "__u64" => 8,
            "struct feed_head" => 160,
            other => panic!("{other}"),
        };
        (name.replace("sfeed_", ""), size * count)
    }

    #[test]
    fn sys__records_are_those_of_the_header() {
        for (name, ours) in [
            ("sockaddr_feed", SockAddr::FIELDS),
            ("feed_seek", Seek::FIELDS),
            ("feed_entry_info", EntryInfo::FIELDS),
            ("feed_append", Append::FIELDS),
            ("feed_info", Info::FIELDS),
            ("feed_fork", Fork::FIELDS),
        ] {
            let ours: Vec<_> = ours
                .iter()
                .map(|(name, size)| ((*name).to_owned(), *size))
                .collect();
            assert_eq!(ours, fields(name), "{name}");
        }
    }

    /// The number that the header gives a name, by #define or in an enum.
    fn number(name: &str) -> i64 {
        let value = HEADER
            .lines()
            .map(|line| {
                line.trim()
                    .trim_start_matches("#define")
                    .replace(['=', ','], " ")
            })
            .find_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some(name)).then(|| words.next().unwrap().to_owned())
            })
            .unwrap_or_else(|| panic!("{name}"));
        match value.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).unwrap(),
            None => value.parse().unwrap(),
        }
    }

    #[test]
    fn sys__numbers_are_those_of_the_header() {
        for (name, ours) in [
            ("AF_FEED", i64::from(AF_FEED)),
            ("SOL_FEED", SOL_FEED.into()),
            ("FEED_BIND_NEW", BIND_NEW.into()),
            ("FEED_OPT_SECRET_KEY", OPT_SECRET_KEY.into()),
            ("FEED_OPT_PUBLIC_KEY", OPT_PUBLIC_KEY.into()),
            ("FEED_OPT_AUTHOR_HEAD", OPT_AUTHOR_HEAD.into()),
            ("FEED_OPT_HEAD", OPT_HEAD.into()),
            ("FEED_OPT_SEEK", OPT_SEEK.into()),
            ("FEED_OPT_INFO", OPT_INFO.into()),
            ("FEED_OPT_FINAL", OPT_FINAL.into()),
            ("FEED_OPT_NEXT_BY", OPT_NEXT_BY.into()),
            ("FEED_OPT_FORK", OPT_FORK.into()),
            ("FEED_OPT_TIMEOUT", OPT_TIMEOUT.into()),
            ("FEED_OPT_MAP", OPT_MAP.into()),
            ("FEED_MAP_SHIFT", MAP_SHIFT.into()),
            ("FEED_CMSG_ENTRY", CMSG_ENTRY.into()),
            ("FEED_CMSG_APPEND", CMSG_APPEND.into()),
            ("FEED_ENTRY_NETWORK", ENTRY_NETWORK.into()),
            ("FEED_ENTRY_STALE", ENTRY_STALE.into()),
            ("FEED_ENTRY_AGE_UNKNOWN", ENTRY_AGE_UNKNOWN.into()),
            ("FEED_APPEND_TIME", APPEND_TIME.into()),
            ("FEED_APPEND_EMPTY", APPEND_EMPTY.into()),
        ] {
            assert_eq!(number(name), ours, "{name}");
        }
        assert!(HEADER.contains("#define FEED_SEQ_NEW\t\t(~0ULL)"));
        assert!(HEADER.contains("#define FEED_ENTRY_MAX\t\t(16 << 20)"));
    }
}

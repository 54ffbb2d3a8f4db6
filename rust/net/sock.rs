// SPDX-License-Identifier: GPL-2.0

//! A socket family of one type, `SOCK_SEQPACKET`, whose semantics are a Rust trait.
//!
//! [`Protocol`] is the meaning of a socket: every method is one `proto_ops` call with the raw
//! pointers taken off. [`Family`] registers it and, when dropped, takes it back. Calls may come
//! from several threads at once, so a socket's state is shared (`&self`) and does its own locking.
//! Nothing here is called from softirq.

mod family;

pub(crate) use family::Family;

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use crate::bindings;
use kernel::{
    error::{
        code::*,
        to_result, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*, //
};

use super::net::Net;
use crate::{
    mm::NewMapping,
    sync::{
        Relay,
        WaitTable, //
    }, //
};

/// Poll bits as `poll(2)` knows them.
pub(crate) const POLLIN: u32 = 0x0001 | 0x0040;
/// Writable, or a pending connect has ended.
pub(crate) const POLLOUT: u32 = 0x0004 | 0x0100;
/// An error waits in `SO_ERROR`.
pub(crate) const POLLERR: u32 = 0x0008;
/// Both directions are shut down.
pub(crate) const POLLHUP: u32 = 0x0010;
/// No more will be read.
pub(crate) const POLLRDHUP: u32 = 0x2000;

/// `shutdown(2)`'s directions, as bits.
pub(crate) const SHUT_RECEIVE: u32 = 1;
/// The sending half.
pub(crate) const SHUT_SEND: u32 = 2;

/// The largest address any call may bring (`struct sockaddr_storage`).
const ADDRESS_MAX: usize = 128;

/// A `struct sock` for the length of one call.
#[derive(Clone, Copy)]
pub(crate) struct Sock<'a> {
    sk: NonNull<bindings::sock>,
    _call: PhantomData<&'a ()>,
}

impl Sock<'_> {
    fn as_ptr(&self) -> *mut bindings::sock {
        self.sk.as_ptr()
    }

    /// The namespace it was made in.
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: The sock is live for the call and holds a reference on its namespace.
        unsafe { Net::from_raw(bindings::feed_sock_net(self.as_ptr()).cast()) }
    }

    /// `SO_RCVBUF` in bytes, as the kernel accounts it.
    pub(crate) fn receive_buffer(&self) -> u32 {
        // SAFETY: The sock is live for the call; a torn value cannot arise for an aligned int.
        let bytes = unsafe { (&raw const (*self.as_ptr()).sk_rcvbuf).read_volatile() };
        u32::try_from(bytes).unwrap_or(0)
    }

    /// `SO_SNDBUF` in bytes.
    pub(crate) fn send_buffer(&self) -> u32 {
        // SAFETY: As in `receive_buffer`.
        let bytes = unsafe { (&raw const (*self.as_ptr()).sk_sndbuf).read_volatile() };
        u32::try_from(bytes).unwrap_or(0)
    }

    /// `SO_RCVTIMEO` in milliseconds; `None` waits for ever.
    pub(crate) fn receive_timeout_ms(&self) -> Option<u64> {
        // SAFETY: The sock is live for the call.
        let ms = unsafe { bindings::feed_sock_rcvtimeo_ms(self.as_ptr()) };
        (ms != u64::MAX).then_some(ms)
    }

    /// `SO_SNDTIMEO` in milliseconds; `None` waits for ever.
    pub(crate) fn send_timeout_ms(&self) -> Option<u64> {
        // SAFETY: The sock is live for the call.
        let ms = unsafe { bindings::feed_sock_sndtimeo_ms(self.as_ptr()) };
        (ms != u64::MAX).then_some(ms)
    }

    /// Leaves `error` for `SO_ERROR` and for the next call.
    pub(crate) fn set_error(&self, error: Error) {
        // SAFETY: The sock is live for the call; `sk_err` is an int that readers exchange.
        unsafe { (&raw mut (*self.as_ptr()).sk_err).write_volatile(error.to_errno().wrapping_neg()) };
    }

    /// Whether an error waits in `SO_ERROR`.
    pub(crate) fn has_error(&self) -> bool {
        // SAFETY: As in `set_error`.
        unsafe { (&raw const (*self.as_ptr()).sk_err).read_volatile() != 0 }
    }

    /// Takes the waiting error, as the socket layer does at the start of a call.
    pub(crate) fn take_error(&self) -> Result {
        // SAFETY: The sock is live for the call.
        to_result(unsafe { bindings::feed_sock_error(self.as_ptr()) })
    }
}

/// Wakes who polls a socket whenever a key of a table is woken: what a socket is about changes,
/// but who polls it has registered once.
pub(crate) type PollRelay = Pin<KBox<Relay>>;

impl Sock<'_> {
    /// Passes wake-ups of `key` on to who polls this socket. The relay must be dropped before
    /// [`Protocol::close`] returns, and `table` be held by the socket's state.
    pub(crate) fn relay(&self, table: &WaitTable, key: u64) -> Result<PollRelay> {
        // SAFETY: The sock is live and has a socket until `release`, whose wait queue this is.
        let to = unsafe { bindings::feed_sock_sleep(self.as_ptr()) };
        // SAFETY: The caller promises that the relay goes first. Those who wait on a socket's
        // queue (tasks, epoll) know nothing of the table.
        KBox::pin_init(unsafe { Relay::join(table, key, to.cast()) }, GFP_KERNEL_ACCOUNT)
    }

    /// Lets those look again who poll or wait for the socket.
    pub(crate) fn changed(&self) {
        // SAFETY: The sock is live for the call.
        unsafe { bindings::feed_sock_state_change(self.as_ptr()) };
    }
}

/// A value that `setsockopt` brings.
pub(crate) struct OptionValue {
    ptr: bindings::sockptr_t,
    len: usize,
}

impl OptionValue {
    /// Bytes given.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies the first `out.len()` bytes. Context: process, may fault.
    ///
    /// # Errors
    /// `EINVAL` when fewer were given, `EFAULT` when they cannot be read.
    pub(crate) fn read(&self, out: &mut [u8]) -> Result {
        if self.len < out.len() {
            return Err(EINVAL);
        }
        // SAFETY: `out` is valid for its length; the helper checks the user pointer.
        to_result(unsafe {
            bindings::feed_copy_from_sockptr(out.as_mut_ptr().cast(), self.ptr, out.len())
        })
    }

    /// The value as a fixed array; the given length must match exactly.
    ///
    /// # Errors
    /// `EINVAL` on another length, `EFAULT` when it cannot be read.
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N]> {
        if self.len != N {
            return Err(EINVAL);
        }
        let mut out = [0; N];
        self.read(&mut out)?;
        Ok(out)
    }
}

/// Where `getsockopt` writes.
pub(crate) struct OptionRoom {
    value: *mut c_void,
    len: *mut c_int,
    nonblock: bool,
}

impl OptionRoom {
    /// Whether the caller does not want to wait for what is asked for.
    pub(crate) fn nonblock(&self) -> bool {
        self.nonblock
    }

    /// Writes as much of `bytes` as there is room for and says how much that was, as the other
    /// families do. Context: process, may fault.
    ///
    /// # Errors
    /// `EINVAL` for a negative room, `EFAULT` when it cannot be written.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result {
        // SAFETY: `bytes` is valid for its length; the helper checks both user pointers.
        to_result(unsafe {
            bindings::feed_put_sockopt(self.value, self.len, bytes.as_ptr().cast(), bytes.len())
        })
    }
}

/// One message header that a call came with.
pub(crate) struct Message<'a> {
    msg: NonNull<bindings::msghdr>,
    _call: PhantomData<&'a mut bindings::msghdr>,
}

/// A control message that the sender gave.
pub(crate) struct Control<'a> {
    /// `cmsg_level`.
    pub(crate) level: i32,
    /// `cmsg_type`.
    pub(crate) kind: i32,
    /// What follows the header.
    pub(crate) data: &'a [u8],
}

impl Message<'_> {
    /// `MSG_*` of the call (sending).
    pub(crate) fn flags(&self) -> u32 {
        // SAFETY: The header is live for the call.
        unsafe { (*self.msg.as_ptr()).msg_flags }
    }

    /// Sets `MSG_*` bits that the receiver will see.
    pub(crate) fn add_flags(&mut self, bits: u32) {
        // SAFETY: The header is live and ours for the call.
        unsafe { (*self.msg.as_ptr()).msg_flags |= bits };
    }

    /// Whether the caller named a destination.
    pub(crate) fn has_name(&self) -> bool {
        // SAFETY: The header is live for the call.
        unsafe { !(*self.msg.as_ptr()).msg_name.is_null() && (*self.msg.as_ptr()).msg_namelen > 0 }
    }

    /// Appends the next `len` bytes of the caller's buffers to `out`, which does not write the room
    /// for them first, as a resized vector would. Context: process, may fault.
    ///
    /// # Errors
    /// `ENOMEM`; `EFAULT` when they cannot be read.
    pub(crate) fn read_onto(&mut self, out: &mut KVVec<u8>, len: usize) -> Result {
        out.reserve(len, GFP_KERNEL_ACCOUNT)?;
        let room = out.spare_capacity_mut().get_mut(..len).ok_or(ENOMEM)?;
        if self.source().copy_from_iter_raw(room).len() != len {
            return Err(EFAULT);
        }
        // SAFETY: So many bytes were written there just now.
        unsafe { out.inc_len(len) };
        Ok(())
    }

    /// Copies the next bytes of the caller's buffers to `room`; false if they cannot be read.
    /// Context: process, may fault.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> bool {
        self.source().copy_from_iter(room) == room.len()
    }

    /// The caller's buffers, to read from.
    fn source(&mut self) -> &mut IovIterSource<'_> {
        // SAFETY: A send call's iterator is a source and lives as long as the header.
        unsafe { IovIterSource::from_raw((&raw mut (*self.msg.as_ptr()).msg_iter).cast()) }
    }

    /// The caller's buffers, to write to.
    pub(crate) fn destination(&mut self) -> &mut IovIterDest<'_> {
        // SAFETY: A receive call's iterator is a destination and lives as long as the header.
        unsafe { IovIterDest::from_raw((&raw mut (*self.msg.as_ptr()).msg_iter).cast()) }
    }

    /// Whether the receiver gave room for control messages.
    pub(crate) fn wants_control(&self) -> bool {
        // SAFETY: The header is live for the call.
        unsafe { (*self.msg.as_ptr()).msg_controllen > 0 }
    }

    /// Hands the receiver a control message; the socket layer sets MSG_CTRUNC if it does not fit.
    pub(crate) fn put_control(&mut self, level: i32, kind: i32, data: &[u8]) {
        // SAFETY: The header is live; `put_cmsg` copies `data` and checks the room itself.
        unsafe {
            bindings::put_cmsg(
                self.msg.as_ptr(),
                level,
                kind,
                data.len() as c_int,
                data.as_ptr().cast_mut().cast(),
            )
        };
    }

    /// The sender's control messages, in order.
    pub(crate) fn controls(&self) -> Controls<'_> {
        // SAFETY: On the send side the socket layer has copied the control buffer into kernel
        // memory of `msg_controllen` bytes (net/socket.c: ____sys_sendmsg); in-kernel senders
        // give kernel memory as well.
        let bytes = unsafe {
            let msg = self.msg.as_ptr();
            let start = bindings::feed_msg_control(msg).cast::<u8>();
            if start.is_null() {
                &[]
            } else {
                core::slice::from_raw_parts(start, (*msg).msg_controllen)
            }
        };
        Controls { rest: bytes }
    }
}

/// Iterator over a sender's control messages; ends with an error at the first malformed one.
pub(crate) struct Controls<'a> {
    rest: &'a [u8],
}

/// `struct cmsghdr` on 64-bit: length, level, type.
const CMSG_HEADER: usize = 16;

impl<'a> Iterator for Controls<'a> {
    type Item = Result<Control<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < CMSG_HEADER {
            return None;
        }
        let bytes = core::mem::take(&mut self.rest);
        let word = |at: usize| -> Option<i32> {
            Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let len = bytes
            .get(..8)
            .and_then(|b| b.try_into().ok())
            .map_or(0, usize::from_ne_bytes);
        let (Some(level), Some(kind), Some(data)) = (word(8), word(12), bytes.get(CMSG_HEADER..len))
        else {
            return Some(Err(EINVAL));
        };
        let step = len.saturating_add(7) & !7;
        self.rest = bytes.get(step..).unwrap_or(&[]);
        Some(Ok(Control { level, kind, data }))
    }
}

/// A pipe that `splice` fills. See [`super::pipe`].
pub(crate) struct PipeCall {
    /// The pipe, locked by nobody yet.
    pub(super) pipe: *mut bindings::pipe_inode_info,
}

/// The meaning of a socket. Context of every method: process, may sleep.
pub(crate) trait Protocol: Send + Sync + Sized + 'static {
    /// The family's number, read once when it is registered.
    fn family() -> i32;
    /// Whether a socket of this type and protocol exists.
    ///
    /// # Errors
    /// `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`.
    fn supports(kind: i32, protocol: i32) -> Result;
    /// A new socket's state.
    fn open(sk: Sock<'_>) -> Result<Pin<KBox<Self>>>;
    /// The last call on it; the state is dropped after it.
    fn close(&self, sk: Sock<'_>);
    /// `bind(2)` with the raw address.
    fn bind(&self, sk: Sock<'_>, address: &[u8]) -> Result;
    /// `connect(2)` with the raw address.
    fn connect(&self, sk: Sock<'_>, address: &[u8], nonblock: bool) -> Result;
    /// `getsockname` or `getpeername`: fills `out`, returns the bytes used.
    fn name(&self, sk: Sock<'_>, peer: bool, out: &mut [u8; ADDRESS_MAX]) -> Result<usize>;
    /// `POLL*` bits; the waiter was registered already. See [`Sock::relay`].
    fn poll(&self, sk: Sock<'_>) -> u32;
    /// Bytes that can be read at once (`FIONREAD`).
    fn readable(&self, sk: Sock<'_>) -> Result<i32>;
    /// `SHUT_*` bits.
    fn shutdown(&self, sk: Sock<'_>, how: u32) -> Result;
    /// `setsockopt` at `level`.
    fn set_option(&self, sk: Sock<'_>, level: i32, name: i32, value: &OptionValue) -> Result;
    /// `getsockopt` at `level`.
    fn option(&self, sk: Sock<'_>, level: i32, name: i32, room: &OptionRoom) -> Result;
    /// One send call of `len` bytes.
    fn send(&self, sk: Sock<'_>, msg: &mut Message<'_>, len: usize) -> Result<usize>;
    /// One receive call.
    fn receive(&self, sk: Sock<'_>, msg: &mut Message<'_>, len: usize, flags: u32) -> Result<usize>;
    /// `splice` from the socket.
    fn splice_read(&self, sk: Sock<'_>, pipe: &PipeCall, len: usize, nonblock: bool) -> Result<usize>;
    /// `mmap` of the socket. The program's address space is locked meanwhile: nothing may wait, nor
    /// touch its memory, nor take a lock under which others do.
    fn mmap(&self, sk: Sock<'_>, mapping: &NewMapping<'_>) -> Result;
    /// The source of a `splice` or `sendfile` into the socket has ended.
    fn splice_eof(&self, sk: Sock<'_>);
}

// SPDX-License-Identifier: GPL-2.0

//! A socket family of one type, `SOCK_SEQPACKET`, whose semantics are a Rust trait.
//!
//! [`Protocol`] is the meaning of a socket: every method is one `proto_ops` call with the raw
//! pointers taken off. [`Family`] registers it and, when dropped, takes it back.
//!
//! Life of a socket: `create` allocates a `struct sock` that is followed by one pointer to the
//! boxed protocol state; `release` is the last call the socket layer ever makes on it and drops
//! the state before the `struct sock`. Between the two, calls may come from several threads at
//! once, so the state is shared (`&self`) and does its own locking. Nothing here is called from
//! softirq.

use core::{
    marker::PhantomData,
    mem::size_of,
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
use crate::sync::{
    Relay,
    WaitTable, //
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

/// `FIONREAD` of asm-generic/ioctls.h.
const FIONREAD: c_uint = 0x541b;

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
}

impl OptionRoom {
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

    /// The caller's buffers, to read from.
    pub(crate) fn source(&mut self) -> &mut IovIterSource<'_> {
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
    /// The source of a `splice` or `sendfile` into the socket has ended.
    fn splice_eof(&self, sk: Sock<'_>);
}

/// `struct sock` and, behind it, the protocol's state.
///
/// # Invariants
/// From the return of `create` to the start of `release`, `state` points to a live `T`.
#[repr(C)]
struct Carrier<T> {
    sk: bindings::sock,
    state: *mut T,
}

extern "C" {
    static mut __this_module: bindings::module;
}

/// Constant tables of one protocol.
struct Tables<T>(PhantomData<T>);

impl<T: Protocol> Tables<T> {
    const OPS: bindings::proto_ops = bindings::proto_ops {
        family: 0,
        owner: &raw mut __this_module,
        release: Some(release::<T>),
        bind: Some(bind::<T>),
        connect: Some(connect::<T>),
        socketpair: Some(bindings::sock_no_socketpair),
        accept: Some(bindings::sock_no_accept),
        getname: Some(getname::<T>),
        poll: Some(poll::<T>),
        ioctl: Some(ioctl::<T>),
        gettstamp: Some(bindings::sock_gettstamp),
        listen: Some(bindings::sock_no_listen),
        shutdown: Some(shutdown::<T>),
        setsockopt: Some(setsockopt::<T>),
        getsockopt: Some(getsockopt::<T>),
        sendmsg: Some(sendmsg::<T>),
        recvmsg: Some(recvmsg::<T>),
        mmap: Some(bindings::sock_no_mmap),
        splice_read: Some(splice_read::<T>),
        splice_eof: Some(splice_eof::<T>),
        // SAFETY: Every other member is an optional function pointer; zero means "not given".
        ..unsafe { core::mem::zeroed() }
    };
}

/// Runs `f` on the state of `sock`.
///
/// # Safety
/// Called by the socket layer with a socket that `create::<T>` made and `release` has not ended.
unsafe fn with<T: Protocol, R>(
    sock: *mut bindings::socket,
    f: impl FnOnce(&T, Sock<'_>) -> R,
) -> R {
    // SAFETY: By the contract `sock->sk` is a `Carrier<T>` whose invariant holds.
    unsafe {
        let sk = (*sock).sk;
        let state = &*(*sk.cast::<Carrier<T>>()).state;
        f(state, Sock { sk: NonNull::new_unchecked(sk), _call: PhantomData })
    }
}

fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

fn count(result: Result<usize>) -> c_int {
    match result {
        Ok(n) => c_int::try_from(n).unwrap_or(c_int::MAX),
        Err(e) => e.to_errno(),
    }
}

/// Copies an address out of the caller's kernel buffer.
///
/// # Safety
/// `address` is valid for `len` bytes (the socket layer copied it in).
unsafe fn address_bytes<'a>(address: *const c_void, len: c_int) -> &'a [u8] {
    let len = usize::try_from(len).unwrap_or(0).min(ADDRESS_MAX);
    if len == 0 || address.is_null() {
        return &[];
    }
    // SAFETY: By the contract.
    unsafe { core::slice::from_raw_parts(address.cast(), len) }
}

unsafe extern "C" fn create<T: Protocol>(
    net: *mut bindings::net,
    sock: *mut bindings::socket,
    protocol: c_int,
    kern: c_int,
) -> c_int {
    // SAFETY: The socket layer passes a fresh socket.
    let kind = unsafe { i32::from((*sock).type_) };
    if let Err(e) = T::supports(kind, protocol) {
        return e.to_errno();
    }
    // SAFETY: `net` is live for the call and the proto is registered while the family is.
    let sk = unsafe {
        bindings::sk_alloc(net, T::family(), bindings::feed_gfp_kernel(), proto::<T>(), kern)
    };
    let Some(sk) = NonNull::new(sk) else {
        return ENOMEM.to_errno();
    };
    // SAFETY: Both are fresh and ours.
    unsafe {
        (*sock).ops = &Tables::<T>::OPS;
        bindings::sock_init_data(sock, sk.as_ptr());
        (*sk.as_ptr()).sk_protocol = protocol as u16;
    }
    match T::open(Sock { sk, _call: PhantomData }) {
        Ok(state) => {
            // SAFETY: `state` stays where it is: it is handed back to a pinned box in `release`.
            let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(state) });
            // INVARIANT: `state` is set before the socket becomes visible.
            // SAFETY: `sk_alloc` gave `obj_size` bytes, which is a `Carrier<T>`.
            unsafe { (*sk.as_ptr().cast::<Carrier<T>>()).state = raw };
            0
        }
        Err(e) => {
            // SAFETY: Nobody else knows the sock; `sock->sk` must not dangle for the caller.
            unsafe {
                (*sock).sk = core::ptr::null_mut();
                bindings::feed_sock_put(sk.as_ptr());
            }
            e.to_errno()
        }
    }
}

unsafe extern "C" fn release<T: Protocol>(sock: *mut bindings::socket) -> c_int {
    // SAFETY: The socket layer calls this once, after every other call has returned. A socket
    // whose `create` failed has no sock.
    unsafe {
        let sk = (*sock).sk;
        if sk.is_null() {
            return 0;
        }
        with::<T, _>(sock, |state, sk| state.close(sk));
        let carrier = sk.cast::<Carrier<T>>();
        drop(Pin::new_unchecked(KBox::from_raw((*carrier).state)));
        (*carrier).state = core::ptr::null_mut();
        bindings::feed_sock_orphan(sk);
        (*sock).sk = core::ptr::null_mut();
        bindings::feed_sock_put(sk);
    }
    0
}

unsafe extern "C" fn bind<T: Protocol>(
    sock: *mut bindings::socket,
    address: *mut bindings::sockaddr_unsized,
    len: c_int,
) -> c_int {
    // SAFETY: The socket layer's contract for `bind`.
    unsafe {
        let address = address_bytes(address.cast(), len);
        with::<T, _>(sock, |state, sk| errno(state.bind(sk, address)))
    }
}

unsafe extern "C" fn connect<T: Protocol>(
    sock: *mut bindings::socket,
    address: *mut bindings::sockaddr_unsized,
    len: c_int,
    flags: c_int,
) -> c_int {
    let nonblock = flags as u32 & bindings::O_NONBLOCK != 0;
    // SAFETY: The socket layer's contract for `connect`.
    unsafe {
        let address = address_bytes(address.cast(), len);
        with::<T, _>(sock, |state, sk| errno(state.connect(sk, address, nonblock)))
    }
}

unsafe extern "C" fn getname<T: Protocol>(
    sock: *mut bindings::socket,
    address: *mut bindings::sockaddr,
    peer: c_int,
) -> c_int {
    let mut out = [0; ADDRESS_MAX];
    // SAFETY: The socket layer's contract for `getname`.
    let result = unsafe { with::<T, _>(sock, |state, sk| state.name(sk, peer != 0, &mut out)) };
    match result {
        Ok(len) => {
            let len = len.min(ADDRESS_MAX);
            // SAFETY: `address` has room for a `struct sockaddr_storage`.
            unsafe { core::ptr::copy_nonoverlapping(out.as_ptr(), address.cast(), len) };
            len as c_int
        }
        Err(e) => e.to_errno(),
    }
}

unsafe extern "C" fn poll<T: Protocol>(
    file: *mut bindings::file,
    sock: *mut bindings::socket,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: The socket layer's contract for `poll`.
    unsafe {
        bindings::feed_sock_poll_wait(file, sock, table);
        with::<T, _>(sock, |state, sk| state.poll(sk))
    }
}

unsafe extern "C" fn ioctl<T: Protocol>(
    sock: *mut bindings::socket,
    command: c_uint,
    argument: usize,
) -> c_int {
    if command != FIONREAD {
        return ENOIOCTLCMD.to_errno();
    }
    // SAFETY: The socket layer's contract for `ioctl`.
    let readable = unsafe { with::<T, _>(sock, |state, sk| state.readable(sk)) };
    match readable {
        // SAFETY: The helper checks the user pointer.
        Ok(bytes) => unsafe { bindings::feed_put_user_int(bytes, argument as *mut c_int) },
        Err(e) => e.to_errno(),
    }
}

unsafe extern "C" fn shutdown<T: Protocol>(sock: *mut bindings::socket, how: c_int) -> c_int {
    // SHUT_RD, SHUT_WR and SHUT_RDWR are 0, 1, 2: one more is the bit mask (af_unix.c).
    let Ok(bits @ 0..=2) = u32::try_from(how) else {
        return EINVAL.to_errno();
    };
    // SAFETY: The socket layer's contract for `shutdown`.
    unsafe { with::<T, _>(sock, |state, sk| errno(state.shutdown(sk, bits + 1))) }
}

unsafe extern "C" fn setsockopt<T: Protocol>(
    sock: *mut bindings::socket,
    level: c_int,
    name: c_int,
    ptr: bindings::sockptr_t,
    len: c_uint,
) -> c_int {
    let value = OptionValue { ptr, len: len as usize };
    // SAFETY: The socket layer's contract for `setsockopt`.
    unsafe { with::<T, _>(sock, |state, sk| errno(state.set_option(sk, level, name, &value))) }
}

unsafe extern "C" fn getsockopt<T: Protocol>(
    sock: *mut bindings::socket,
    level: c_int,
    name: c_int,
    value: *mut u8,
    len: *mut c_int,
) -> c_int {
    let room = OptionRoom { value: value.cast(), len };
    // SAFETY: The socket layer's contract for `getsockopt`.
    unsafe { with::<T, _>(sock, |state, sk| errno(state.option(sk, level, name, &room))) }
}

unsafe extern "C" fn sendmsg<T: Protocol>(
    sock: *mut bindings::socket,
    msg: *mut bindings::msghdr,
    len: usize,
) -> c_int {
    // SAFETY: The socket layer's contract for `sendmsg`: the header is live for the call.
    unsafe {
        let mut message = Message { msg: NonNull::new_unchecked(msg), _call: PhantomData };
        let sent = with::<T, _>(sock, |state, sk| state.send(sk, &mut message, len));
        if matches!(&sent, Err(e) if *e == EPIPE) && (*msg).msg_flags & bindings::MSG_NOSIGNAL == 0 {
            bindings::feed_send_sigpipe();
        }
        count(sent)
    }
}

unsafe extern "C" fn recvmsg<T: Protocol>(
    sock: *mut bindings::socket,
    msg: *mut bindings::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: The socket layer's contract for `recvmsg`: the header is live for the call.
    unsafe {
        let mut message = Message { msg: NonNull::new_unchecked(msg), _call: PhantomData };
        count(with::<T, _>(sock, |state, sk| {
            state.receive(sk, &mut message, len, flags as u32)
        }))
    }
}

unsafe extern "C" fn splice_read<T: Protocol>(
    sock: *mut bindings::socket,
    _position: *mut bindings::loff_t,
    pipe: *mut bindings::pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: The socket layer's contract for `splice_read`: the file and pipe are live.
    let result = unsafe {
        let nonblock = (*(*sock).file).f_flags & bindings::O_NONBLOCK != 0
            || flags & bindings::SPLICE_F_NONBLOCK != 0;
        with::<T, _>(sock, |state, sk| {
            state.splice_read(sk, &PipeCall { pipe }, len, nonblock)
        })
    };
    match result {
        Ok(n) => isize::try_from(n).unwrap_or(isize::MAX),
        Err(e) => e.to_errno() as isize,
    }
}

unsafe extern "C" fn splice_eof<T: Protocol>(sock: *mut bindings::socket) {
    // SAFETY: The socket layer's contract for `splice_eof`.
    unsafe { with::<T, _>(sock, |state, sk| state.splice_eof(sk)) }
}

/// The one `struct proto` of the module; written once, by [`Family::register`], before any
/// socket can exist.
static mut PROTO: core::mem::MaybeUninit<bindings::proto> = core::mem::MaybeUninit::zeroed();
/// The family record, likewise.
static mut FAMILY: core::mem::MaybeUninit<bindings::net_proto_family> =
    core::mem::MaybeUninit::zeroed();

fn proto<T: Protocol>() -> *mut bindings::proto {
    (&raw mut PROTO).cast()
}

/// A registered family; dropping it takes it back.
///
/// The socket layer holds a reference on the module for every open socket, so by the time this
/// is dropped none exists.
pub(crate) struct Family<T: Protocol> {
    number: i32,
    _protocol: PhantomData<T>,
}

impl<T: Protocol> Family<T> {
    /// Registers the family. Call last at load: from here on sockets can be made.
    ///
    /// Context: process, may sleep. At most one family exists in a module.
    ///
    /// # Errors
    /// `EEXIST` when the number is taken.
    pub(crate) fn register(name: &CStr) -> Result<Self> {
        let number = T::family();
        // SAFETY: Module init runs once and alone; both records live as long as the module.
        unsafe {
            let proto = &mut *(&raw mut PROTO).cast::<bindings::proto>();
            for (to, from) in proto.name.iter_mut().zip(name.to_bytes()) {
                *to = *from as _;
            }
            proto.owner = &raw mut __this_module;
            proto.obj_size = size_of::<Carrier<T>>() as c_uint;
            // From a cache of their own, whose objects are charged to memory control groups.
            to_result(bindings::proto_register(proto, 1))?;
            let family = &mut *(&raw mut FAMILY).cast::<bindings::net_proto_family>();
            family.family = number;
            family.create = Some(create::<T>);
            family.owner = &raw mut __this_module;
            if let Err(e) = to_result(bindings::sock_register(family)) {
                bindings::proto_unregister(proto);
                return Err(e);
            }
        }
        Ok(Self { number, _protocol: PhantomData })
    }
}

impl<T: Protocol> Drop for Family<T> {
    fn drop(&mut self) {
        // SAFETY: Both were registered by `register`.
        unsafe {
            bindings::sock_unregister(self.number);
            bindings::proto_unregister(proto::<T>());
        }
    }
}

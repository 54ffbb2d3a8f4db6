// SPDX-License-Identifier: GPL-2.0

//! The calls of the socket layer, and the registration that makes it call.
//!
//! Life of a socket: `create` allocates a `struct sock` that is followed by one pointer to the
//! boxed protocol state; `release` is the last call the socket layer ever makes on it and drops
//! the state before the `struct sock`.

use super::{
    Message,
    OptionRoom,
    OptionValue,
    PipeCall,
    Protocol,
    Sock,
    ADDRESS_MAX, //
};
use crate::{
    bindings,
    mm::NewMapping, //
};
use core::{
    marker::PhantomData,
    mem::size_of,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// `FIONREAD` of asm-generic/ioctls.h.
const FIONREAD: c_uint = 0x541b;

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
        mmap: Some(mmap::<T>),
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

/// Whether the program has set `O_NONBLOCK`. A socket of the kernel's own has no file.
///
/// # Safety
/// `sock` is live for the call, and so is its file.
unsafe fn is_nonblocking(sock: *mut bindings::socket) -> bool {
    // SAFETY: By the contract.
    unsafe {
        let file = (*sock).file;
        !file.is_null() && (*file).f_flags & bindings::O_NONBLOCK != 0
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
    // SAFETY: The socket layer's contract for `getsockopt`.
    unsafe {
        let room = OptionRoom { value: value.cast(), len, nonblock: is_nonblocking(sock) };
        with::<T, _>(sock, |state, sk| errno(state.option(sk, level, name, &room)))
    }
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
        let nonblock = is_nonblocking(sock) || flags & bindings::SPLICE_F_NONBLOCK != 0;
        with::<T, _>(sock, |state, sk| {
            state.splice_read(sk, &PipeCall { pipe }, len, nonblock)
        })
    };
    match result {
        Ok(n) => isize::try_from(n).unwrap_or(isize::MAX),
        Err(e) => e.to_errno() as isize,
    }
}

unsafe extern "C" fn mmap<T: Protocol>(
    _file: *mut bindings::file,
    sock: *mut bindings::socket,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: The socket layer's contract for `mmap`: the mapping is being set up, and holds the
    // file of the socket.
    unsafe {
        let mapping = NewMapping::from_raw(vma);
        with::<T, _>(sock, |state, sk| errno(state.mmap(sk, &mapping)))
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

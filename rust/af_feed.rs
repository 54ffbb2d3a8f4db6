// SPDX-License-Identifier: GPL-2.0

//! What a socket of AF_FEED means: DESIGN's table of calls, and every errno of it.
//!
//! A socket is idle until it is bound (the author of one feed, [`author`]) or connected (a reader
//! of one feed, [`reader`]); never both. This file holds what the two have in common: addresses,
//! options, and which call goes where.
//!
//! Locks: `io` serialises the calls that move data on one socket. It is held across copies to and
//! from the caller's memory and belongs to this socket alone, as af_unix's `iolock` does; a reader
//! lets go of it while it waits. `state` is short: nothing sleeps on the network or touches user
//! memory under it, for mmap() takes it with the address space locked. Order: `io`, the address
//! space's, `state`, then the locks of the feed ([`author`]) and of the node.

pub(crate) mod author;
mod batch;
mod draft;
pub(crate) mod reader;
pub(crate) mod uapi;

use crate::net::errno::{
    EALREADY,
    EINPROGRESS,
    EISCONN,
    EKEYREJECTED,
    ENETDOWN,
    ENODATA,
    ENOKEY,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT, //
};
use crate::{
    mm::NewMapping,
    net::namespace::Registered,
    net::sock::{
        Message,
        OptionRoom,
        OptionValue,
        PipeCall,
        PollRelay,
        Protocol,
        Sock,
        POLLERR,
        POLLHUP,
        POLLIN,
        POLLOUT,
        POLLRDHUP,
        SHUT_RECEIVE,
        SHUT_SEND, //
    },
    node::Node,
    pairs,
    store::Owner,
    sync::{
        shared,
        Unfinished, //
    }, //
};
use author::Authorship;
use draft::Draft;
use feed_core::{
    head::{
        SignedHead,
        HEAD_LEN, //
    },
    id::Name,
    sign::Seed, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use reader::Reading;
use uapi::*;

/// How long `connect` and `recv` look for what is known to exist, ms.
const TIMEOUT_DEFAULT_MS: u64 = 5_000;

/// What a socket is for.
enum Role {
    /// Neither bound nor connected.
    Idle,
    /// Extends a feed.
    Author(Authorship),
    /// Reads a feed.
    Reader(KBox<Reading>),
}

/// What `setsockopt` and `bind` have made of a socket.
struct State {
    role: Role,
    timeout_ms: u64,
    /// Until `bind` hands it to the feed. Wiped when dropped.
    seed: Option<KBox<Seed>>,
    /// The public half of `seed`, which outlives it.
    public_key: Option<Name>,
    /// What the author remembers of its own feed, signature not yet checked.
    author_head: Option<KBox<SignedHead>>,
    /// Present while the role is not idle.
    relay: Option<PollRelay>,
    /// `SHUT_*` bits.
    shut: u32,
}

/// One socket.
#[pin_data]
pub(crate) struct FeedSocket {
    node: Arc<Node>,
    #[pin]
    io: Mutex<Draft>,
    #[pin]
    state: Mutex<State>,
}

impl FeedSocket {
    fn deadline_ms(&self) -> u64 {
        self.state.lock().timeout_ms
    }
}

impl Protocol for FeedSocket {
    fn family() -> i32 {
        shared::family()
    }

    fn supports(kind: i32, protocol: i32) -> Result {
        match (kind, protocol) {
            (SOCK_SEQPACKET, 0) => Ok(()),
            (SOCK_SEQPACKET, _) => Err(EPROTONOSUPPORT),
            _ => Err(ESOCKTNOSUPPORT),
        }
    }

    fn open(sk: Sock<'_>) -> Result<Pin<KBox<Self>>> {
        let node = Node::of(sk.net()).ok_or(ENETDOWN)?;
        let socket = KBox::pin_init(
            pin_init!(Self {
                node,
                io <- new_mutex!(Draft::none(), "FeedSocket::io"),
                state <- new_mutex!(State {
                    role: Role::Idle,
                    timeout_ms: TIMEOUT_DEFAULT_MS,
                    seed: None,
                    public_key: None,
                    author_head: None,
                    relay: None,
                    shut: 0,
                }, "FeedSocket::state"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        pairs::SOCKETS.made();
        Ok(socket)
    }

    fn close(&self, _sk: Sock<'_>) {
        pairs::SOCKETS.gone(1);
        // A sendfile that was cut off leaves half an entry; it was never acknowledged.
        drop(core::mem::replace(&mut *self.io.lock(), Draft::none()));
        let mut state = self.state.lock();
        state.seed = None;
        state.relay = None;
        let role = core::mem::replace(&mut state.role, Role::Idle);
        drop(state);
        match role {
            Role::Idle => {}
            // Signs what is still provisional, then wipes the secret.
            Role::Author(author) => author.close(&self.node),
            Role::Reader(reading) => reading.close(&self.node),
        }
    }

    fn bind(&self, sk: Sock<'_>, address: &[u8]) -> Result {
        let address = Address::parse(address)?;
        if address.flags & !FEED_BIND_NEW != 0 || address.seq != 0 {
            return Err(EINVAL);
        }
        let mut state = self.state.lock();
        if !matches!(state.role, Role::Idle) {
            return Err(EINVAL);
        }
        if state.seed.is_none() {
            return Err(ENOKEY);
        }
        if state.public_key != Some(address.name) {
            return Err(EKEYREJECTED);
        }
        let new = address.flags & FEED_BIND_NEW != 0;
        let relay = self.node.relay(&address.name.id(), sk)?;
        let State { author_head, seed, .. } = &mut *state;
        let author = Authorship::claim(
            &self.node,
            address.name,
            new,
            author_head.as_deref(),
            seed,
            Owner::of_current(),
        )?;
        state.role = Role::Author(author);
        state.relay = Some(relay);
        drop(state);
        sk.changed();
        Ok(())
    }

    fn connect(&self, sk: Sock<'_>, address: &[u8], nonblock: bool) -> Result {
        if address.first_chunk() == Some(&AF_UNSPEC.to_ne_bytes()) {
            return self.disconnect(sk);
        }
        let address = Address::parse(address)?;
        if address.flags != 0 {
            return Err(EINVAL);
        }
        let mut state = self.state.lock();
        let timeout_ms = state.timeout_ms;
        let open = || -> Result<(Role, PollRelay)> {
            // What may fail first: a reading that was opened must be closed, not dropped.
            let room = KBox::new_uninit(GFP_KERNEL_ACCOUNT)?;
            let relay = self.node.relay(&address.name.id(), sk)?;
            let reading = Reading::open(&self.node, address.name, address.seq, timeout_ms)?;
            Ok((Role::Reader(room.write(reading)), relay))
        };
        let mut opened = None;
        let mut again = false;
        match &mut state.role {
            Role::Author(_) => return Err(EINVAL),
            Role::Reader(reading) if reading.is_connected() => return Err(EISCONN),
            // The last one failed and a poll has said so: this is another.
            Role::Reader(reading) if reading.has_failed() => {
                reading.close(&self.node);
                state.role = Role::Idle;
                state.relay = None;
                opened = Some(open()?);
            }
            // Joins the one under way, and hears if that has ended meanwhile.
            Role::Reader(_) => again = true,
            Role::Idle => opened = Some(open()?),
        }
        if let Some((role, relay)) = opened {
            state.role = role;
            state.relay = Some(relay);
        }
        drop(state);
        sk.changed();
        match self.finish_connect(sk, nonblock) {
            Err(e) if again && nonblock && e == EINPROGRESS => Err(EALREADY),
            done => done,
        }
    }

    fn name(&self, _sk: Sock<'_>, peer: bool, out: &mut [u8; 128]) -> Result<usize> {
        let state = self.state.lock();
        let (name, seq) = match (&state.role, peer) {
            (Role::Author(author), false) => (author.name(), author.next_seq()),
            (Role::Reader(reading), _) if reading.is_connected() => {
                (reading.name(), reading.next_seq())
            }
            (_, true) => return Err(ENOTCONN),
            (_, false) => (Name([0; 32]), 0),
        };
        Ok(Address { flags: 0, seq, name }.emit(out))
    }

    fn poll(&self, sk: Sock<'_>) -> u32 {
        let mut state = self.state.lock();
        let mut bits = 0;
        if state.shut & SHUT_RECEIVE != 0 {
            bits |= POLLIN | POLLRDHUP;
        }
        if state.shut == SHUT_RECEIVE | SHUT_SEND {
            bits |= POLLHUP;
        }
        match &mut state.role {
            Role::Idle => bits |= POLLOUT | POLLHUP,
            Role::Author(_) => bits |= POLLOUT,
            Role::Reader(reading) => bits |= reading.poll(&self.node, sk),
        }
        if sk.has_error() {
            bits |= POLLERR | POLLOUT;
        }
        bits
    }

    fn readable(&self, _sk: Sock<'_>) -> Result<i32> {
        match &mut self.state.lock().role {
            Role::Reader(reading) => Ok(reading.readable(&self.node)),
            _ => Err(EINVAL),
        }
    }

    fn shutdown(&self, _sk: Sock<'_>, how: u32) -> Result {
        let mut state = self.state.lock();
        let feed = match &state.role {
            Role::Idle => return Err(ENOTCONN),
            Role::Author(author) => author.id(),
            Role::Reader(reading) => reading.id(),
        };
        state.shut |= how;
        drop(state);
        self.node.wake(&feed);
        Ok(())
    }

    fn set_option(&self, _sk: Sock<'_>, level: i32, name: i32, value: &OptionValue) -> Result {
        if level != SOL_FEED {
            return Err(ENOPROTOOPT);
        }
        match name {
            FEED_OPT_SECRET_KEY => self.set_secret_key(value),
            FEED_OPT_AUTHOR_HEAD => self.set_author_head(value),
            FEED_OPT_SEEK => self.seek(value),
            FEED_OPT_TIMEOUT => {
                self.state.lock().timeout_ms = u64::from_ne_bytes(value.array()?);
                Ok(())
            }
            FEED_OPT_FINAL => {
                if i32::from_ne_bytes(value.array()?) != 1 {
                    return Err(EINVAL);
                }
                self.with_author(|author| author.finish(&self.node))
            }
            FEED_OPT_NEXT_BY => {
                let next_by = u64::from_ne_bytes(value.array()?);
                self.with_author(|author| author.promise(&self.node, next_by))
            }
            _ => Err(ENOPROTOOPT),
        }
    }

    fn option(&self, sk: Sock<'_>, level: i32, name: i32, room: &OptionRoom) -> Result {
        if level != SOL_FEED {
            return Err(ENOPROTOOPT);
        }
        match name {
            FEED_OPT_PUBLIC_KEY => {
                let key = self.state.lock().public_key.ok_or(ENOKEY)?;
                room.write(&key.0)
            }
            FEED_OPT_TIMEOUT => {
                let ms = self.deadline_ms();
                room.write(&ms.to_ne_bytes())
            }
            FEED_OPT_HEAD => {
                let head = self.node.head(&self.feed()?).ok_or(ENODATA)?;
                room.write(&head.bytes)
            }
            FEED_OPT_FORK => {
                // Not on the stack, and not written to the program under the engine's lock.
                let mut bytes = KVec::from_elem(0, FORK_LEN, GFP_KERNEL)?;
                self.node
                    .fork(&self.feed()?, |evidence| put_fork(evidence, &mut bytes))
                    .ok_or(ENODATA)?;
                room.write(&bytes)
            }
            FEED_OPT_INFO => {
                let info = match &self.state.lock().role {
                    Role::Idle => return Err(ENOTCONN),
                    Role::Author(author) => author.info(),
                    Role::Reader(reading) => reading.info(&self.node),
                };
                room.write(&info.to_bytes())
            }
            FEED_OPT_MAP => reader::map::take(self, sk, room),
            _ => Err(ENOPROTOOPT),
        }
    }

    fn send(&self, sk: Sock<'_>, msg: &mut Message<'_>, len: usize) -> Result<usize> {
        if msg.has_name() {
            return Err(EISCONN);
        }
        let state = self.state.lock();
        if state.shut & SHUT_SEND != 0 {
            return Err(EPIPE);
        }
        let (feed, timeout_ms) = match &state.role {
            Role::Idle => return Err(ENOTCONN),
            Role::Reader(_) => return Err(EOPNOTSUPP),
            Role::Author(author) => (author.feed(), state.timeout_ms),
        };
        drop(state);
        // A splice that could not say why it failed.
        sk.take_error()?;
        // Not under `io`: others who want it could not be killed meanwhile.
        feed.await_ready(&self.node, timeout_ms, msg.flags() & MSG_DONTWAIT != 0)?;
        self.io.lock().send(&self.node, &feed, sk, msg, len)
    }

    fn receive(&self, sk: Sock<'_>, msg: &mut Message<'_>, len: usize, flags: u32) -> Result<usize> {
        if flags & MSG_OOB != 0 {
            return Err(EOPNOTSUPP);
        }
        if flags & MSG_ERRQUEUE != 0 {
            return Err(EAGAIN);
        }
        reader::receive::receive(self, sk, msg, len, flags)
    }

    fn splice_read(&self, sk: Sock<'_>, pipe: &PipeCall, len: usize, nonblock: bool) -> Result<usize> {
        reader::splice::splice(self, sk, pipe, len, nonblock)
    }

    fn mmap(&self, _sk: Sock<'_>, mapping: &NewMapping<'_>) -> Result {
        reader::map::show(self, mapping)
    }

    fn splice_eof(&self, sk: Sock<'_>) {
        let mut draft = self.io.lock();
        let state = self.state.lock();
        let Role::Author(author) = &state.role else {
            return;
        };
        let feed = author.feed();
        drop(state);
        // The call has no way to say what went wrong: SO_ERROR does.
        if let Err(e) = draft.end(&self.node, &feed, sk) {
            sk.set_error(e);
        }
    }
}

impl FeedSocket {
    /// The feed of this socket.
    fn feed(&self) -> Result<feed_core::id::DiscoveryId> {
        match &self.state.lock().role {
            Role::Idle => Err(ENOTCONN),
            Role::Author(author) => Ok(author.id()),
            Role::Reader(reading) => Ok(reading.id()),
        }
    }

    fn with_author(&self, f: impl FnOnce(&Authorship) -> Result) -> Result {
        // `io` first: a head must not be signed in the middle of a send.
        let _io = self.io.lock();
        match &self.state.lock().role {
            Role::Author(author) => f(author),
            Role::Idle => Err(ENOTCONN),
            Role::Reader(_) => Err(EOPNOTSUPP),
        }
    }

    fn set_secret_key(&self, value: &OptionValue) -> Result {
        if value.len() != FEED_KEY_LEN {
            return Err(EINVAL);
        }
        let mut bytes = [0; FEED_KEY_LEN];
        let read = value.read(&mut bytes);
        // On the heap at once, so that it is one place that has to be wiped.
        let room = KBox::<Seed>::new_uninit(GFP_KERNEL);
        let seed = match (read, room) {
            (Ok(()), Ok(room)) => Seed::new(bytes)
                .map(|seed| room.write(seed))
                .map_err(|_| EINVAL),
            (Err(e), _) => Err(e),
            (_, Err(e)) => Err(e.into()),
        };
        feed_core::sign::wipe(&mut bytes);
        let seed = seed?;
        let public_key = seed.public_key();
        let mut state = self.state.lock();
        if !matches!(state.role, Role::Idle) {
            return Err(EISCONN);
        }
        state.public_key = Some(Name(public_key.0));
        state.seed = Some(seed);
        Ok(())
    }

    fn set_author_head(&self, value: &OptionValue) -> Result {
        let bytes: [u8; HEAD_LEN] = value.array()?;
        let head = SignedHead::parse(&bytes).map_err(|_| EINVAL)?;
        let head = KBox::new(head, GFP_KERNEL_ACCOUNT)?;
        let mut state = self.state.lock();
        if !matches!(state.role, Role::Idle) {
            return Err(EISCONN);
        }
        state.author_head = Some(head);
        Ok(())
    }

    fn seek(&self, value: &OptionValue) -> Result {
        let mut bytes = [0; 16];
        if value.len() != bytes.len() {
            return Err(EINVAL);
        }
        value.read(&mut bytes)?;
        let (seq, offset) = Seek::parse(&bytes);
        match &mut self.state.lock().role {
            Role::Reader(reading) if reading.is_connected() => {
                reading.seek(&self.node, seq, offset)?;
                // Another thread may sleep at the old place.
                self.node.wake(&reading.id());
                Ok(())
            }
            Role::Author(_) => Err(EOPNOTSUPP),
            _ => Err(ENOTCONN),
        }
    }

    /// Ends a connection so that the socket can be used for another feed.
    fn disconnect(&self, sk: Sock<'_>) -> Result {
        let mut state = self.state.lock();
        if matches!(state.role, Role::Author(_)) {
            return Err(EINVAL);
        }
        if let Role::Reader(reading) = core::mem::replace(&mut state.role, Role::Idle) {
            state.relay = None;
            reading.close(&self.node);
            drop(state);
            // Receive calls that sleep, then who polls.
            self.node.wake(&reading.id());
            sk.changed();
        }
        Ok(())
    }

    /// Waits until the connect under way has ended. Gives up at once with `nonblock`.
    fn finish_connect(&self, sk: Sock<'_>, nonblock: bool) -> Result {
        let (feed, progress) = {
            let mut state = self.state.lock();
            let Role::Reader(reading) = &mut state.role else {
                return Err(EINVAL);
            };
            (reading.id(), reading.progress(&self.node))
        };
        let outcome = match progress {
            Some(outcome) => outcome,
            None if nonblock => return Err(EINPROGRESS),
            None => self.node.wait(&feed, sk.send_timeout_ms(), || {
                match &mut self.state.lock().role {
                    Role::Reader(reading) => reading.progress(&self.node),
                    // Another thread has disconnected it.
                    _ => Some(Err(ENOTCONN)),
                }
            })
            // SO_SNDTIMEO bounds connect(): the lookup goes on, as with TCP.
            .unwrap_or_else(|unfinished| match unfinished {
                Unfinished::TimedOut => Err(EINPROGRESS),
                Unfinished::Signal(e) => Err(e),
            }),
        };
        if let Err(e) = outcome {
            if e != EINPROGRESS && e != EINTR && e != ERESTARTSYS {
                let _ = self.disconnect(sk);
            }
        }
        outcome
    }
}

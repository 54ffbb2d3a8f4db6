// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What the engine needs from the shell around it: store, network, signatures, readers.
//!
//! Context: every method is called with the engine's lock held, in the kernel from softirq. None
//! may sleep, none may call back into the engine. `send` may queue: the engine never waits for it.

use core::ops::{DerefMut, Range};

use crate::error::Drop;
use crate::id::{BlobName, DiscoveryId, Hash};
use crate::object::ObjectKey;
use crate::sign::PublicKey;

/// How the shell lends memory: `Vec` on a host, `KVVec` in the kernel.
///
/// The engine never allocates: every table has the length it is handed in with.
pub trait Memory {
    /// A table of `T`.
    type Of<T>: DerefMut<Target = [T]>;
}

/// A port: the kernel's interface index.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortId(pub u32);

impl PortId {
    /// Stands for the readers of this machine where a port is expected.
    pub const LOCAL: PortId = PortId(u32::MAX);
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mac(pub [u8; 6]);

/// Where a frame goes. `mac: None` is the group address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Dest {
    /// The port it leaves by.
    pub port: PortId,
    /// The neighbour, or the group.
    pub mac: Option<Mac>,
}

/// Store bytes that are appended to a frame without a copy. The linear part ends in the
/// BLOB_DATA header that describes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    /// The blob.
    pub blob: BlobName,
    /// Its window of 32 KiB.
    pub window: u16,
    /// First byte, counted from the window's start.
    pub offset: u32,
    /// Number of bytes.
    pub len: u32,
}

/// The rest of a received frame: bytes that nobody has looked at yet and that their sender may still
/// change. What is done with them is done with a copy.
pub trait Rest {
    /// How many they are.
    fn bytes(&self) -> usize;

    /// Copies those from `at` on, and is asked for none of them twice. False if there are not so many,
    /// or they cannot be had: then `to` may hold anything.
    fn copy(&self, at: usize, to: &mut [u8]) -> bool;
}

/// Who pays for what is stored, and how dear it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charge {
    /// The port that asked first, or [`PortId::LOCAL`].
    pub port: PortId,
    /// The object belongs to a feed that this node may serve even as a host.
    pub public: bool,
}

/// What the store says of one blob window that it holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BlobInfo {
    /// How many hops the bytes had come when they were stored; 0 for what was appended here.
    pub hops: u8,
    /// Set when it was stored with [`Charge::public`] or marked by [`Env::blob_share`]: a host
    /// answers lookups only with such windows, else its store would tell what its programs read.
    pub public: bool,
}

/// The store has no room right now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// What a signature is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignedKind {
    /// A head, 160 bytes.
    Head,
    /// A grant, 192 bytes.
    Grant,
}

/// A signature to check. The shell queues it (see [`super::budget`]) and reports the outcome with
/// [`super::Engine::on_verdict`].
#[derive(Clone, Copy, Debug)]
pub struct VerifyJob {
    /// Names the job in the verdict.
    pub id: u64,
    /// The job whose verdict nobody wants any more now that there is this one, or 0: it need not be
    /// done if it is still queued.
    pub instead_of: u64,
    /// The port it came by.
    pub port: PortId,
    /// The neighbour that sent it.
    pub mac: Mac,
    /// The feed.
    pub feed: DiscoveryId,
    /// This node knows the feed: such jobs go before others, 3 to 1.
    pub known: bool,
    /// The neighbour sent something wrong a short while ago: it gets half a share.
    pub suspect: bool,
    /// It answers a lookup that went to this neighbour alone, which sent nothing wrong lately: it is
    /// not lost among what others on the port make up.
    pub alone: bool,
    /// Nobody waits for the verdict: others were told before it (UNCHECKED), and no program here
    /// wants to know. It may be put off for a moment.
    pub patient: bool,
    /// What it is.
    pub kind: SignedKind,
    /// The key to check with: the name key, or the working key of a verified grant.
    pub key: PublicKey,
    /// Body and signature; a head fills the first 160 bytes.
    pub bytes: [u8; 192],
}

/// What an event's proof was about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proved {
    /// A head's signature.
    Head,
    /// A grant's signature.
    Grant,
    /// A leaf's inclusion, `n` is its seq.
    Entry,
    /// A page of leaf hashes, `n` is the window.
    Page,
    /// A consistency proof, `n` is the longer tree.
    Cons,
    /// A whole blob window, `n` is the window.
    Window,
    /// A chunk of a blob window, `n` is the chunk.
    Chunk,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// What the engine counts besides drops.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum Counter {
            $($(#[$doc])* $variant,)*
        }

        impl Counter {
            /// All counters, in the order of their numbers.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)*];

            /// The counter's name in netlink.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Counter::$variant => $text,)*
                }
            }
        }
    };
}

counters! {
    /// Frames of the protocol that came in.
    FramesIn => "frames-in",
    /// Lookups that came in.
    LookupsIn => "lookups-in",
    /// Lookups answered, at least in part, from the store.
    Hits => "hits",
    /// Lookups that this node sent for others or for itself, retransmissions included.
    LookupsOut => "lookups-out",
    /// Lookups that joined one already in flight.
    Merged => "merged",
    /// Lookups sent again because no answer came in time.
    Resent => "resent",
    /// Lookups that nobody answered in their life.
    TimedOut => "timed-out",
    /// Answer messages that came in with a valid token.
    AnswersIn => "answers-in",
    /// Answer frames sent.
    FramesOut => "frames-out",
    /// Refusals sent.
    RefusalsOut => "refusals-out",
    /// Refusals that came in with a valid token.
    RefusalsIn => "refusals-in",
    /// Heads adopted.
    Heads => "heads",
    /// Entries stored.
    Entries => "entries",
    /// Blob windows stored.
    Windows => "windows",
    /// Windows whose hash failed and that went on chunk by chunk.
    ChunkMode => "chunk-mode",
    /// Pushes sent to followers.
    Pushes => "pushes",
    /// Routes that were demoted.
    Demoted => "demoted",
    /// Forks that were proved.
    Forks => "forks",
}

/// Something to count or trace. Each has one call site per cause.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Something was dropped.
    Drop {
        /// Why.
        reason: Drop,
        /// The port it came by.
        port: PortId,
        /// The neighbour that sent it.
        mac: Mac,
    },
    /// A counter goes up by one.
    Count(Counter),
    /// A hash or signature check came out.
    Verify {
        /// What was checked.
        what: Proved,
        /// How it came out.
        ok: bool,
        /// The feed, or the route hint of a blob.
        feed: &'a DiscoveryId,
        /// See [`Proved`].
        n: u64,
    },
    /// Two valid heads that exclude each other. [`super::Engine::fork_evidence`] has them.
    Fork {
        /// The feed.
        feed: &'a DiscoveryId,
    },
}

/// The world around the engine.
pub trait Env {
    /// A reserved, unpublished piece of the store for one window of a blob. Dropping it gives the
    /// space back; nothing finds its bytes before [`Env::blob_publish`].
    type Extent;

    /// Random bits that nobody outside can guess.
    fn random(&mut self) -> u64;

    /// Wall clock, ms since 1970. `None` while the clock is not set.
    fn wall_ms(&mut self) -> Option<u64>;

    /// Reads one slot of an object. False when it is not here: anything may vanish at any moment.
    fn slot_get(&mut self, key: &ObjectKey, slot: u8, out: &mut [u8]) -> bool;

    /// Reads several slots of one object, of 32 bytes each, one behind the other. False when one of
    /// them is not here.
    fn slots_get(&mut self, key: &ObjectKey, slots: &[u8], out: &mut [u8]) -> bool {
        let mut rooms = out.chunks_exact_mut(32);
        slots.iter().all(|slot| {
            rooms
                .next()
                .is_some_and(|room| self.slot_get(key, *slot, room))
        })
    }

    /// Whether it pays to say what will be read, of many things at once: with little stored it costs
    /// what it brings. If so, more of what is found is remembered.
    fn may_look_ahead(&mut self) -> bool {
        false
    }

    /// Says that slots of `len` bytes of an object will be read in a moment, of which the memory can be told.
    /// Who reads for several lookups says it twice, for all of them: `near` is false at first, when
    /// the objects' places are wanted, and true when the bytes are.
    fn slots_soon(&mut self, key: &ObjectKey, slots: &[u8], len: usize, near: bool) {
        let _ = (key, slots, len, near);
    }

    /// The same of the beginning of a blob's window.
    fn blob_soon(&mut self, blob: &BlobName, window: u16, near: bool) {
        let _ = (blob, window, near);
    }

    /// Stores one slot. The engine calls this only with verified bytes. Storing what is already
    /// there is not an error.
    fn slot_put(
        &mut self,
        key: &ObjectKey,
        slot: u8,
        bytes: &[u8],
        charge: Charge,
    ) -> Result<(), Full>;

    /// Empties one slot, if it is here.
    fn slot_clear(&mut self, key: &ObjectKey, slot: u8);

    /// Whether a window of a blob is published.
    fn blob_find(&mut self, blob: &BlobName, window: u16) -> Option<BlobInfo>;

    /// The same for who is going to read or send it in this call: that counts as a use.
    fn blob_open(&mut self, blob: &BlobName, window: u16) -> Option<BlobInfo> {
        self.blob_find(blob, window)
    }

    /// Marks a published window as belonging to a feed that a host may serve.
    fn blob_share(&mut self, blob: &BlobName, window: u16);

    /// Copies bytes of a published window from `offset` on. False when not all of them are here.
    fn blob_read(&mut self, blob: &BlobName, window: u16, offset: u32, out: &mut [u8]) -> bool;

    /// Reserves room for a window of `len` bytes.
    fn blob_reserve(
        &mut self,
        blob: &BlobName,
        window: u16,
        len: u32,
        charge: Charge,
    ) -> Result<Self::Extent, Full>;

    /// Copies unverified bytes to their place. `offset + bytes.len()` is within the extent.
    fn extent_write(&mut self, extent: &mut Self::Extent, offset: u32, bytes: &[u8]);

    /// Copies the first `len` bytes of `rest` to their place. `offset + len` is within the extent. False
    /// if they could not be had: then anything may be in their place.
    fn extent_take(
        &mut self,
        extent: &mut Self::Extent,
        offset: u32,
        len: u32,
        rest: &dyn Rest,
    ) -> bool;

    /// The chaining value of `chunks` of the extent, counted in the window, or the blob's hash if
    /// `root`. `first_chunk` is the number in the blob of the window's chunk 0. The range is one chunk or all
    /// chunks of the window; the last chunk ends where the extent ends.
    fn extent_cv(
        &mut self,
        extent: &Self::Extent,
        chunks: Range<u8>,
        first_chunk: u64,
        root: bool,
    ) -> Hash;

    /// Makes a verified window findable. If it is findable already the extent is released.
    fn blob_publish(&mut self, extent: Self::Extent, hops: u8);

    /// Sends one frame (without Ethernet header; pad to 60 bytes). False if the payload has
    /// vanished from the store: then nothing is sent.
    fn send(&mut self, to: Dest, linear: &[u8], payload: Option<Payload>) -> bool;

    /// Queues a signature check. False: no room, the job is dropped.
    fn verify(&mut self, job: &VerifyJob) -> bool;

    /// Something changed for local readers of this feed: head, leaves, blobs, a fork.
    fn wake(&mut self, feed: &DiscoveryId);

    /// Counts and traces.
    fn event(&mut self, event: Event<'_>);
}

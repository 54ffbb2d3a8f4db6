// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! A reader: a cursor on the store that asks ahead for what is missing.
//!
//! Nothing queues on a reader. Its credit bounds what may be in flight for it: windows of entries or
//! blobs, and bytes ahead of the cursor; [`Pace`] finds how much of that the way to the data carries.

use super::env::{Env, Memory};
use super::feeds::HEADED;
use super::limits::LIFE_MAX_US;
use super::local::window_here;
use super::nodes;
use super::pace::Pace;
use super::want::Want;
use super::{Engine, Wanted};
use crate::blob::{window_bits, window_count, window_len};
use crate::id::{BlobName, DiscoveryId, Name};
use crate::leaf::Leaf;
use crate::wire::{ANY_AGE, MAX_INLINE_LEN, WINDOW, WINDOW_BYTES, WINDOW_HEIGHT};

/// Entries behind the cursor whose origin is remembered.
const MARKS: u64 = 1024;

/// Windows that one call looks at: bounds its time under the lock.
const LOOKS_MAX: u32 = 512;

/// Windows that a reader reads before it goes on after so many looks.
const LOOKS_REST: u32 = 4;

/// A reader looks ahead again when it has read this fraction of its credit,
const DUE_FRACTION: u64 = 4;
/// and over all that it has asked for when that was done so long ago, µs: what it waits for would be
/// forgotten, and may have been.
const RENEW_US: u64 = 1_000_000;

/// How long the interest of one call lives, ms. The reader calls again before.
const INTEREST_MS: u32 = 5_000;

/// How far a reader may go ahead of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Credit {
    /// Windows in flight at most.
    pub windows: u32,
    /// Bytes from the cursor on at most; at least one window is always asked for.
    pub bytes: u64,
}

/// What a reader can do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// The entry at the cursor is here, with the window of its payload at the cursor's offset.
    Ready {
        /// The entry.
        leaf: Leaf,
        /// Hops that it came, 0 if it was here when the reader first looked.
        hops: u8,
        /// It was fetched for this reader (or while it waited).
        fetched: bool,
    },
    /// Something is on its way: wait for [`Env::wake`], and look again within the interest's life.
    Waiting,
    /// The feed ends before the cursor.
    End,
    /// The entry does not exist yet.
    NotYet,
    /// No head is held. Of a feed that is open here one was asked for.
    NoHead,
    /// Two heads of the feed exclude each other.
    Forked,
    /// Nothing can be asked for.
    Stuck(Wanted),
}

/// The state of one reader.
#[derive(Clone, Debug)]
pub struct Reader {
    id: DiscoveryId,
    seq: u64,
    offset: u32,
    /// One bit per entry, by seq modulo [`MARKS`]: it was missing when first looked at.
    missing: [u64; (MARKS / 64) as usize],
    /// Entries below this were looked at.
    looked: u64,
    /// Largest hops of the present entry's windows so far.
    hops: u8,
    /// Windows that were asked for, had not come when all was looked at, and that the cursor has not
    /// passed since.
    in_flight: u32,
    /// Those that had come and are to be passed first: what is read of them is not in flight.
    came: u32,
    /// Entry and window before which all was here or was asked for when it was looked at.
    ahead: (u64, u16),
    /// Bytes from the cursor up to there.
    ahead_bytes: u64,
    /// What was here without a gap when it was looked at: it is not looked at again before the cursor
    /// comes there.
    here: Here,
    /// Windows that are to be read before there is anything to ask for: reading on frees little credit
    /// at a time.
    rest: u32,
    /// When all from the cursor on was looked at, µs.
    looked_at: u64,
    /// Goes on reading the held branch of a forked feed.
    stays: bool,
    /// Entries of the feed when it was last looked at; past all if more is to be said than that
    /// there is none yet.
    known: u64,
    pace: Pace<Awaited>,
    /// It waited when it looked last.
    waits: bool,
}

/// A stretch from the cursor on.
#[derive(Clone, Copy, Debug, Default)]
struct Here {
    /// Entry and window behind it.
    end: (u64, u16),
    /// Bytes of it.
    bytes: u64,
    /// Windows of it that had been asked for.
    came: u32,
}

/// What is on its way.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// An entry, with its payload if that goes with it.
    Entry(u64),
    /// A window of a large blob.
    Blob(BlobName, u16),
}

impl Reader {
    /// A reader at the first byte of entry `seq`.
    pub fn new(id: DiscoveryId, seq: u64) -> Self {
        Reader {
            id,
            seq,
            offset: 0,
            missing: [0; (MARKS / 64) as usize],
            looked: seq,
            hops: 0,
            in_flight: 0,
            came: 0,
            ahead: (0, 0),
            ahead_bytes: 0,
            here: Here::default(),
            rest: 0,
            looked_at: 0,
            stays: false,
            known: u64::MAX,
            pace: Pace::new(),
            waits: false,
        }
    }

    /// Whether the cursor was behind the newest entry of a feed that goes on, when it was last
    /// looked at: then another look says [`Status::NotYet`], and does nothing, until the feed is
    /// woken.
    pub fn is_at_end(&self) -> bool {
        self.seq >= self.known
    }

    /// Whose entries it reads.
    pub fn feed(&self) -> &DiscoveryId {
        &self.id
    }

    /// The cursor: entry, and byte in it.
    pub fn position(&self) -> (u64, u32) {
        (self.seq, self.offset)
    }

    /// Windows that were asked for and not read yet.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The reader knows of the fork and goes on with the branch that is held.
    pub fn stay_on_branch(&mut self) {
        self.stays = true;
    }

    /// Whether a fork of the feed is no news to the reader.
    pub fn stays_on_branch(&self) -> bool {
        self.stays
    }

    /// Moves the cursor anywhere.
    pub fn seek(&mut self, seq: u64, offset: u32) {
        self.seq = seq;
        self.offset = offset;
        self.looked = seq;
        self.hops = 0;
        self.ahead = (0, 0);
        self.here = Here::default();
        self.pace.forget_probe();
    }

    /// Moves the cursor on by bytes that were read of the present entry of `len` bytes.
    pub fn advance(&mut self, bytes: u32, len: u32) {
        let (seq, window) = (self.seq, self.window());
        self.offset = self.offset.saturating_add(bytes);
        self.ahead_bytes = self.ahead_bytes.saturating_sub(u64::from(bytes));
        self.here.bytes = self.here.bytes.saturating_sub(u64::from(bytes));
        if self.offset >= len {
            self.seq = self.seq.saturating_add(1);
            self.offset = 0;
            self.hops = 0;
            self.looked = self.looked.max(self.seq);
        }
        // Small entries come by the window, like the pieces of large ones.
        let is_past = if len <= MAX_INLINE_LEN {
            seq >> WINDOW_HEIGHT != self.seq >> WINDOW_HEIGHT
        } else {
            (seq, window) != (self.seq, self.window())
        };
        if is_past {
            self.rest = self.rest.saturating_sub(1);
            // What was here when it was looked at is not on its way, unless it had come.
            let is_here = (seq, window) < self.here.end && self.here.came == 0;
            if self.was_missing(seq) && !is_here {
                self.here.came = self.here.came.saturating_sub(1);
                match self.came.checked_sub(1) {
                    Some(left) => self.came = left,
                    None => self.in_flight = self.in_flight.saturating_sub(1),
                }
            }
        }
    }

    /// The window of the entry that the cursor is in.
    fn window(&self) -> u16 {
        u16::try_from(self.offset / WINDOW_BYTES).unwrap_or(0)
    }

    fn mark(&mut self, seq: u64, is_missing: bool) {
        let at = seq % MARKS;
        if let Some(word) = self.missing.get_mut((at / 64) as usize) {
            let bit = 1u64.wrapping_shl((at % 64) as u32);
            *word = if is_missing {
                *word | bit
            } else {
                *word & !bit
            };
        }
    }

    fn was_missing(&self, seq: u64) -> bool {
        let at = seq % MARKS;
        self.missing
            .get((at / 64) as usize)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Looks at the first time an entry is seen whether it is here.
    fn look(&mut self, seq: u64, is_here: bool) {
        if seq >= self.looked && seq < self.seq.saturating_add(MARKS) {
            self.mark(seq, !is_here);
            self.looked = seq.saturating_add(1);
        } else if !is_here && seq < self.looked {
            self.mark(seq, true);
        }
    }

    /// Asks for what is missing from the cursor on, as far as `credit` goes, and says what can be
    /// read now.
    pub fn pump<M: Memory, E: Env>(
        &mut self,
        engine: &mut Engine<M, E>,
        now: u64,
        credit: &Credit,
        env: &mut E,
    ) -> Status {
        self.known = u64::MAX;
        let Some(feed) = engine.feeds.get_mut(&self.id) else {
            return Status::NoHead;
        };
        if feed.has(super::feeds::FORKED) && !self.stays {
            return Status::Forked;
        }
        if !feed.has(HEADED) {
            // There was one, or the reader would not be here: a grant has ended its epoch.
            let any = (0, 0);
            return match engine.want_head(now, &self.id, any, ANY_AGE, INTEREST_MS, env) {
                why @ (Wanted::NoPort | Wanted::NoRoute) => Status::Stuck(why),
                Wanted::Present | Wanted::Waiting | Wanted::Busy => Status::NoHead,
            };
        }
        let (name, epoch, n, public) = (feed.name, feed.epoch, feed.n, feed.is_public());
        let is_final = feed.statement().is_some_and(|head| head.is_final());
        if !is_final {
            self.known = n;
        }
        if self.seq >= n {
            return if is_final {
                Status::End
            } else {
                Status::NotYet
            };
        }
        self.look_at_pace(now, (&name, epoch, public), credit, env);
        let credit = &Credit {
            windows: credit.windows.min(self.pace.limit()),
            ..*credit
        };
        let mut pass = Pass {
            name,
            epoch,
            n,
            public,
            windows: 0,
            bytes: 0,
            looks: 0,
            refused: None,
            fresh: None,
            came: 0,
            here: None,
        };
        let due = self.due(now, n, credit);
        let mut first = None;
        let mut is_late = false;
        if due != Due::All || self.waits {
            first = self.look_here(engine, now, &mut pass, env);
            // Something else has come: what is missing here must not keep the way empty.
            is_late = self.waits && first.is_none();
        }
        if pass.refused.is_some() {
            // Whatever else there is to be asked for.
        } else if due == Due::All || is_late {
            self.looked_at = now;
            (pass.windows, pass.bytes, pass.came) = (0, 0, 0);
            pass.here = Some(Here::default());
            let credit = Credit {
                windows: credit.windows.saturating_add(is_late.into()),
                ..*credit
            };
            let start = (self.seq, self.offset);
            first = self.look_ahead(engine, now, start, &credit, &mut pass, env);
        } else if due == Due::Count {
            let here = self.here;
            (pass.windows, pass.bytes, pass.came) = (0, here.bytes.max(1), here.came);
            pass.here = Some(here);
            let (seq, window) = here.end;
            let start = (seq, u32::from(window).saturating_mul(WINDOW_BYTES));
            self.look_ahead(engine, now, start, credit, &mut pass, env);
        } else if due == Due::Ahead {
            (pass.windows, pass.came) = (self.in_flight, self.came);
            pass.bytes = self.ahead_bytes.max(1);
            let (seq, window) = self.ahead;
            let start = (seq, u32::from(window).saturating_mul(WINDOW_BYTES));
            self.look_ahead(engine, now, start, credit, &mut pass, env);
        }
        if let Some(what) = pass.fresh {
            self.pace.asked(now, what);
        }
        self.pace.in_flight(pass.windows);
        if pass.refused.is_some() {
            // Nobody says when there is room, or a way.
            self.ahead = (0, 0);
        }
        self.waits = first.is_none();
        match first {
            Some(leaf) => self.ready(leaf),
            None => match pass.refused {
                Some(why) => Status::Stuck(why),
                None => Status::Waiting,
            },
        }
    }

    /// Looks whether the window has come whose time is taken.
    fn look_at_pace<E: Env>(
        &mut self,
        now: u64,
        (name, epoch, public): (&Name, u32, bool),
        credit: &Credit,
        env: &mut E,
    ) {
        let Some(what) = self.pace.looks_for(now, self.waits) else {
            return;
        };
        let hops = match what {
            Awaited::Entry(seq) => match nodes::leaf(env, name, epoch, seq) {
                // Leaves alone are little, and sooner here than a window.
                Some((leaf, _)) if !nodes::is_inline(&leaf) => return self.pace.forget_probe(),
                Some((leaf, hops)) if leaf.len == 0 => Some(hops),
                Some((leaf, hops)) => {
                    window_here(&leaf.blob_name(), 0, public, env).map(|info| info.hops.max(hops))
                }
                None => None,
            },
            Awaited::Blob(blob, window) => {
                window_here(&blob, window, public, env).map(|info| info.hops)
            }
        };
        match hops {
            Some(hops) => self.pace.came(now, hops, credit.windows),
            None => self.pace.is_missing(now),
        }
    }

    /// How much there is to be looked at.
    fn due(&self, now: u64, n: u64, credit: &Credit) -> Due {
        let is_old = now.saturating_sub(self.looked_at) >= RENEW_US;
        if is_old || (self.seq, self.window()) >= self.ahead {
            return Due::All;
        }
        let free = credit.bytes.saturating_sub(self.ahead_bytes);
        if self.ahead.0 >= n || self.rest > 0 || free < credit.bytes / DUE_FRACTION {
            return Due::Here;
        }
        if self.in_flight >= credit.windows.max(1) {
            // What was asked for and not read yet may have come: count again.
            return if self.here.end > (self.seq, self.window()) {
                Due::Count
            } else {
                Due::All
            };
        }
        Due::Ahead
    }

    /// Asks for what is missing from `start` on, an entry and a byte in it. Gives the entry there, and
    /// the hops that it came, if it can be read.
    fn look_ahead<M: Memory, E: Env>(
        &mut self,
        engine: &mut Engine<M, E>,
        now: u64,
        start: (u64, u32),
        credit: &Credit,
        pass: &mut Pass,
        env: &mut E,
    ) -> Option<(Leaf, u8)> {
        let mut first = None;
        // Bytes and windows before the first entry whose leaf is not here.
        let mut known = None;
        let mut seq = start.0;
        self.ahead = (seq, u16::try_from(start.1 / WINDOW_BYTES).unwrap_or(0));
        while seq < pass.n && pass.goes_on(credit) {
            let from = if seq == start.0 { start.1 } else { 0 };
            match nodes::leaf(env, &pass.name, pass.epoch, seq) {
                Some((leaf, hops)) => {
                    let (here, end) =
                        self.pump_payload(engine, now, &leaf, from, credit, pass, env);
                    self.look(seq, here.is_some());
                    if seq == start.0 {
                        first = here.map(|here| (leaf, hops.max(here)));
                    }
                    if let Some(window) = end {
                        if known.is_none() {
                            self.ahead = (seq, window);
                        }
                        break;
                    }
                    seq = seq.saturating_add(1);
                }
                None => {
                    self.end_of_here(pass);
                    // Behind it more is to be asked for as soon as it is here.
                    known.get_or_insert((pass.bytes, pass.windows));
                    seq = self.pump_leaves(engine, now, seq, pass, env);
                }
            }
            if known.is_none() {
                self.ahead = (seq, 0);
            }
        }
        self.end_of_here(pass);
        let (bytes, windows) = known.unwrap_or((pass.bytes, pass.windows));
        self.ahead_bytes = bytes;
        self.in_flight = windows.min(credit.windows);
        self.came = pass.came;
        self.rest = if pass.looks >= LOOKS_MAX {
            LOOKS_REST
        } else if pass.windows >= credit.windows {
            credit.windows / DUE_FRACTION as u32
        } else {
            0
        };
        first
    }

    /// What is here without a gap ends.
    fn end_of_here(&mut self, pass: &mut Pass) {
        if let Some(here) = pass.here.take() {
            self.here = here;
        }
    }

    /// Asks for what is missing at the cursor. Gives the entry there, and the hops that it came, if it can
    /// be read.
    fn look_here<M: Memory, E: Env>(
        &mut self,
        engine: &mut Engine<M, E>,
        now: u64,
        pass: &mut Pass,
        env: &mut E,
    ) -> Option<(Leaf, u8)> {
        let seq = self.seq;
        let Some((leaf, hops)) = nodes::leaf(env, &pass.name, pass.epoch, seq) else {
            self.pump_leaves(engine, now, seq, pass, env);
            return None;
        };
        let one = Credit {
            windows: 1,
            bytes: 1,
        };
        let (here, _) = self.pump_payload(engine, now, &leaf, self.offset, &one, pass, env);
        self.look(seq, here.is_some());
        here.map(|here| (leaf, hops.max(here)))
    }

    /// The entry at the cursor can be read; it and its window have come so many hops.
    fn ready(&mut self, (leaf, hops): (Leaf, u8)) -> Status {
        let fetched = self.was_missing(self.seq);
        self.hops = self.hops.max(if fetched { hops } else { 0 });
        Status::Ready {
            leaf,
            hops: self.hops,
            fetched,
        }
    }

    /// Asks for the windows of a payload from byte `from` on; gives the hops of the first if that is
    /// here, and where it stopped if that was before the end.
    #[allow(clippy::too_many_arguments)]
    fn pump_payload<M: Memory, E: Env>(
        &mut self,
        engine: &mut Engine<M, E>,
        now: u64,
        leaf: &Leaf,
        from: u32,
        credit: &Credit,
        pass: &mut Pass,
        env: &mut E,
    ) -> (Option<u8>, Option<u16>) {
        // Behind the last byte there is nothing to wait for.
        if from >= leaf.len {
            pass.looks = pass.looks.saturating_add(1);
            return (Some(0), None);
        }
        let blob = leaf.blob_name();
        let start = u16::try_from(from / WINDOW_BYTES).unwrap_or(0);
        let mut first = None;
        for window in start..window_count(leaf.len) {
            if window > start && !pass.goes_on(credit) {
                return (first, Some(window));
            }
            pass.looks = pass.looks.saturating_add(1);
            pass.bytes = pass
                .bytes
                .saturating_add(u64::from(window_len(leaf.len, window)));
            if let Some(info) = window_here(&blob, window, pass.public, env) {
                if window == start {
                    first = Some(info.hops);
                }
                let is_last = !nodes::is_inline(leaf) || leaf.seq & 31 == 31;
                if is_last && self.was_missing(leaf.seq) {
                    pass.came = pass.came.saturating_add(1);
                }
                if let Some(here) = &mut pass.here {
                    *here = Here {
                        end: (leaf.seq, window.saturating_add(1)),
                        bytes: pass.bytes,
                        came: pass.came,
                    };
                }
                continue;
            }
            self.end_of_here(pass);
            let in_flight = engine.lookups_known();
            let what = if nodes::is_inline(leaf) {
                let want = Want::Range {
                    id: self.id,
                    epoch: pass.epoch,
                    window: leaf.seq >> WINDOW_HEIGHT,
                };
                let bit = 1u32.wrapping_shl((leaf.seq & 31) as u32);
                pass.note(engine.ask_for(now, want, bit, INTEREST_MS, env));
                Awaited::Entry(leaf.seq)
            } else {
                let want = Want::Blob {
                    id: self.id,
                    blob,
                    window,
                };
                let bits = window_bits(blob.len, window);
                pass.note(engine.ask_for(now, want, bits, INTEREST_MS, env));
                Awaited::Blob(blob, window)
            };
            pass.asked(what, engine.lookups_known() > in_flight);
        }
        (first, None)
    }

    /// Asks for all missing leaves of the window of `seq`; gives the first seq behind it.
    fn pump_leaves<M: Memory, E: Env>(
        &mut self,
        engine: &mut Engine<M, E>,
        now: u64,
        seq: u64,
        pass: &mut Pass,
        env: &mut E,
    ) -> u64 {
        let window = seq >> WINDOW_HEIGHT;
        let end = window
            .saturating_add(1)
            .saturating_mul(u64::from(WINDOW))
            .min(pass.n);
        let mut bits = 0u32;
        for at in seq..end {
            pass.looks = pass.looks.saturating_add(1);
            let here = at != seq && nodes::leaf(env, &pass.name, pass.epoch, at).is_some();
            if !here {
                bits |= 1u32.wrapping_shl((at & 31) as u32);
                self.look(at, false);
                pass.bytes = pass.bytes.saturating_add(u64::from(MAX_INLINE_LEN));
            }
        }
        let want = Want::Range {
            id: self.id,
            epoch: pass.epoch,
            window,
        };
        let in_flight = engine.lookups_known();
        pass.note(engine.ask_for(now, want, bits, INTEREST_MS, env));
        pass.asked(Awaited::Entry(seq), engine.lookups_known() > in_flight);
        end
    }
}

/// What a reader looks at.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Due {
    /// Only what the cursor points to: the rest was asked for.
    Here,
    /// That, and what comes after what was asked for.
    Ahead,
    /// That, and what was asked for and had not come.
    Count,
    /// All from the cursor on.
    All,
}

/// One walk from the cursor on.
struct Pass {
    name: Name,
    epoch: u32,
    n: u64,
    public: bool,
    windows: u32,
    bytes: u64,
    looks: u32,
    refused: Option<Wanted>,
    /// Windows that are here, and were not.
    came: u32,
    /// What is here without a gap so far, if it is that.
    here: Option<Here>,
    /// The first window that nobody had asked for before.
    fresh: Option<Awaited>,
}

impl Pass {
    fn goes_on(&self, credit: &Credit) -> bool {
        let room = self.bytes == 0 || self.bytes < credit.bytes;
        room && self.windows < credit.windows.max(1)
            && self.looks < LOOKS_MAX
            && self.refused.is_none()
    }

    fn asked(&mut self, what: Awaited, fresh: bool) {
        if fresh && self.refused.is_none() {
            self.fresh.get_or_insert(what);
        }
    }

    fn note(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Present => {}
            Wanted::Waiting => self.windows = self.windows.saturating_add(1),
            // Busy is not final: what is in flight will make room.
            Wanted::Busy if self.windows > 0 => self.windows = u32::MAX,
            other => self.refused = Some(other),
        }
    }
}

const _: () = assert!(INTEREST_MS as u64 * 1000 <= LIFE_MAX_US);

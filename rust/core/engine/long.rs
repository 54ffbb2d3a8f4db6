// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Long frames: which windows went out in one, and to whom none go for a while.
//!
//! Something on the way may drop every one of them, such as a policer that never lets as much through at
//! once. So a window that is asked for again goes in frames of the link; and a neighbour that asks for too
//! many again gets no long frames for a time. To ask again is to send the same lookup again, with its token:
//! who asks by another one has had the window, and keeps it no longer. (Or has given up before its time-out
//! had passed, and tries anew: then nothing is known of what became of the first.)
//!
//! Both memories are direct-mapped: a collision overwrites, and costs no more than frames of the other
//! kind.

use super::env::Memory;
use super::limits::{
    Lend, LONG_AGAIN_MIN, LONG_AGAIN_SHARE, LONG_COUNTED, LONG_NEIGHBOURS, LONG_PAUSE_US,
    LONG_REPEAT_US, LONG_WINDOWS,
};
use super::pending::Down;
use crate::id::BlobName;
use crate::siphash::{siphash13, SipKey};

/// A window that went to a neighbour in one frame.
#[derive(Clone, Copy, Default)]
pub(super) struct Window {
    what: u64,
    /// Who asks for it before this time has not got it, µs.
    until: u64,
}

/// A neighbour that windows go to.
#[derive(Clone, Copy, Default)]
pub(super) struct Receiver {
    who: u64,
    /// Windows that went to it in one frame.
    sent: u32,
    /// How many of them it asked for again.
    again: u32,
    /// It gets none before this time, µs.
    not_before: u64,
}

/// Their tables.
pub(super) type Tables<M> = (<M as Memory>::Of<Window>, <M as Memory>::Of<Receiver>);

/// What is remembered of long frames.
pub(super) struct LongFrames<M: Memory> {
    windows: M::Of<Window>,
    receivers: M::Of<Receiver>,
}

impl<M: Memory> LongFrames<M> {
    pub(super) fn lend<L: Lend<M>>(lend: &mut L) -> Result<Tables<M>, L::Error> {
        Ok((lend.lend(LONG_WINDOWS)?, lend.lend(LONG_NEIGHBOURS)?))
    }

    pub(super) fn new(memory: Tables<M>) -> Self {
        let (windows, receivers) = memory;
        LongFrames { windows, receivers }
    }

    /// Whether a neighbour may get this window, which it has asked for, in a long frame. If so it is
    /// remembered that it does.
    pub(super) fn admits(
        &mut self,
        key: &SipKey,
        down: &Down,
        blob: &BlobName,
        window: u16,
        now: u64,
    ) -> bool {
        let who = siphash13(key, &[&down.port.0.to_le_bytes(), &down.mac.0]);
        let what = siphash13(
            key,
            &[
                &who.to_le_bytes(),
                &down.token.to_le_bytes(),
                &blob.hash.0,
                &window.to_le_bytes(),
            ],
        );
        let Some(receiver) = place(&mut self.receivers, who) else {
            return false;
        };
        if receiver.who != who {
            *receiver = Receiver {
                who,
                ..Receiver::default()
            };
        }
        let Some(known) = place(&mut self.windows, what) else {
            return false;
        };
        if known.what == what && known.until > now {
            receiver.count_again(now);
            return false;
        }
        if receiver.not_before > now {
            return false;
        }
        *known = Window {
            what,
            until: now.saturating_add(LONG_REPEAT_US),
        };
        receiver.count_sent();
        true
    }
}

impl Receiver {
    fn count_sent(&mut self) {
        self.sent = self.sent.saturating_add(1);
        if self.sent >= LONG_COUNTED {
            self.sent >>= 1;
            self.again >>= 1;
        }
    }

    fn count_again(&mut self, now: u64) {
        self.again = self.again.saturating_add(1);
        let too_many = self.again.saturating_mul(LONG_AGAIN_SHARE) >= self.sent;
        if self.again >= LONG_AGAIN_MIN && too_many {
            *self = Receiver {
                who: self.who,
                not_before: now.saturating_add(LONG_PAUSE_US),
                ..Receiver::default()
            };
        }
    }
}

fn place<T>(slots: &mut [T], hash: u64) -> Option<&mut T> {
    let at = (hash as usize).checked_rem(slots.len())?;
    slots.get_mut(at)
}

#[cfg(test)]
mod tests {
    use super::super::env::{Mac, PortId};
    use super::*;
    use crate::id::Hash;
    use std::vec;
    use std::vec::Vec;

    struct Vectors;

    impl Memory for Vectors {
        type Of<T> = Vec<T>;
    }

    const KEY: SipKey = SipKey([1, 2]);

    fn made() -> LongFrames<Vectors> {
        LongFrames::new((vec![Window::default(); 4096], vec![Receiver::default(); 64]))
    }

    /// Who asks: a neighbour, by a lookup.
    fn asks(neighbour: u8, lookup: u64) -> Down {
        Down {
            port: PortId(1),
            mac: Mac([neighbour; 6]),
            token: lookup,
            ..Down::default()
        }
    }

    fn blob(number: u8) -> BlobName {
        BlobName {
            hash: Hash([number; 32]),
            len: 1 << 20,
        }
    }

    #[test]
    fn long__a_window_once_in_a_while() {
        let mut long = made();
        let down = asks(2, 1);
        assert!(long.admits(&KEY, &down, &blob(1), 0, 0));
        for now in [0, LONG_REPEAT_US - 1] {
            assert!(!long.admits(&KEY, &down, &blob(1), 0, now));
        }
        // Another window, blob, neighbour, port or lookup, or later.
        assert!(long.admits(&KEY, &down, &blob(1), 1, 0));
        assert!(long.admits(&KEY, &down, &blob(2), 0, 0));
        assert!(long.admits(&KEY, &asks(4, 1), &blob(1), 0, 0));
        let elsewhere = Down {
            port: PortId(2),
            ..down
        };
        assert!(long.admits(&KEY, &elsewhere, &blob(1), 0, 0));
        assert!(long.admits(&KEY, &asks(2, 2), &blob(1), 0, 0));
        assert!(long.admits(&KEY, &down, &blob(1), 0, LONG_REPEAT_US));
    }

    #[test]
    fn long__none_for_whom_they_do_not_reach() {
        let mut long = made();
        let (bad, good) = (asks(2, 1), asks(4, 1));
        for window in 0..16 {
            for down in [&bad, &good] {
                assert!(long.admits(&KEY, down, &blob(1), window, 0));
            }
        }
        for window in 0..16 {
            assert!(!long.admits(&KEY, &bad, &blob(1), window, 1));
        }
        for down in [&bad, &asks(2, 2)] {
            assert!(!long.admits(&KEY, down, &blob(2), 0, 2));
            assert!(!long.admits(&KEY, down, &blob(2), 0, LONG_PAUSE_US));
        }
        assert!(long.admits(&KEY, &good, &blob(2), 0, 2));
        assert!(long.admits(&KEY, &bad, &blob(2), 0, LONG_PAUSE_US + 1));
    }

    /// Who reads all again that it has thrown away has not missed it.
    #[test]
    fn long__what_is_read_again() {
        let mut long = made();
        for lookup in 0..8 {
            let down = asks(2, lookup);
            for window in 0..128 {
                let admitted = long.admits(&KEY, &down, &blob(1), window, lookup);
                assert!(admitted, "{lookup} {window}");
            }
        }
    }

    #[test]
    fn long__a_loss_now_and_then_is_no_reason() {
        let mut long = made();
        let down = asks(2, 1);
        for window in 0..2000 {
            assert!(long.admits(&KEY, &down, &blob(1), window, 0), "{window}");
            if window % 16 == 0 {
                assert!(!long.admits(&KEY, &down, &blob(1), window, 0));
            }
        }
    }
    #[test]
    fn long__what_was_long_ago_counts_little() {
        let mut long = made();
        let mut sent = 0;
        for number in 0..100 {
            for window in 0..100 {
                assert!(long.admits(&KEY, &asks(2, 1), &blob(number), window, 0));
                sent += 1;
            }
        }
        // Far fewer than a share of all that have ever arrived.
        let mut again = 0;
        let is_out = |long: &mut LongFrames<_>| !long.admits(&KEY, &asks(2, 1), &blob(200), 0, 0);
        for window in (0..100).rev() {
            if !long.admits(&KEY, &asks(2, 1), &blob(99), window, 0) {
                again += 1;
            }
        }
        assert!(again >= LONG_AGAIN_MIN && again < sent / LONG_AGAIN_SHARE);
        assert!(is_out(&mut long));
    }

    #[test]
    fn long__a_collision_costs_what_was_known() {
        let mut long: LongFrames<Vectors> =
            LongFrames::new((vec![Window::default(); 1], vec![Receiver::default(); 1]));
        for _ in 0..2 * LONG_AGAIN_MIN {
            long.admits(&KEY, &asks(2, 1), &blob(1), 0, 0);
        }
        assert!(!long.admits(&KEY, &asks(2, 1), &blob(2), 0, 0));
        // Another neighbour is not the one before, and another window is not.
        assert!(long.admits(&KEY, &asks(4, 1), &blob(1), 0, 0));
        assert!(long.admits(&KEY, &asks(4, 1), &blob(2), 0, 0));
        assert!(long.admits(&KEY, &asks(4, 1), &blob(1), 0, 0));
        assert!(long.admits(&KEY, &asks(2, 1), &blob(2), 0, 0));
    }
}

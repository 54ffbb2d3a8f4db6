// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Frames: a header and messages one after the other.

use super::{
    is_known, Message, CRITICAL, FRAME_HEADER_LEN, FRAME_LIMITED, FRAME_MIN, FRAME_VERSION,
    MESSAGE_HEADER_LEN, TYPE_END,
};
use crate::bytes::{Reader, Writer};
use crate::error::Drop;

/// The fields of a frame header that mean something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameHeader {
    /// The answer was cut after one frame: ask again with the cookie given here.
    pub limited: bool,
    /// The cookie that the receiver once gave the sender, 0 for none.
    pub cookie_echo: u64,
    /// The sender's cookie for the receiver, 0 in frames without answer or refusal.
    pub cookie_give: u64,
}

/// A frame whose header holds and that has no unknown critical message.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Its header.
    pub header: FrameHeader,
    messages: &'a [u8],
}

impl<'a> FrameView<'a> {
    /// Reads what follows the Ethernet header. Bytes after the length that the header states are
    /// padding and not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        let mut r = Reader::new(bytes);
        let version = r.u8().ok_or(Drop::Truncated)?;
        if version != FRAME_VERSION {
            return Err(Drop::BadVersion);
        }
        let flags = r.u8().ok_or(Drop::Truncated)?;
        let len = r.u16().ok_or(Drop::Truncated)?;
        let reserved = r.u32().ok_or(Drop::Truncated)?;
        let cookie_echo = r.u64().ok_or(Drop::Truncated)?;
        let cookie_give = r.u64().ok_or(Drop::Truncated)?;
        if flags & !FRAME_LIMITED != 0 || reserved != 0 {
            return Err(Drop::Reserved);
        }
        let messages = r.take(usize::from(len)).ok_or(Drop::Truncated)?;
        let mut rest = messages;
        while let Some(Ok(raw)) = next_raw(&mut rest) {
            if raw.kind & CRITICAL != 0 && !is_known(raw.kind) {
                return Err(Drop::UnknownCritical);
            }
        }
        let limited = flags & FRAME_LIMITED != 0;
        Ok(FrameView {
            header: FrameHeader {
                limited,
                cookie_echo,
                cookie_give,
            },
            messages,
        })
    }

    /// The messages in order. An error concerns one message; after [`Drop::Malformed`] nothing
    /// follows, since the places of later messages cannot be trusted.
    pub fn messages(&self) -> Messages<'a> {
        Messages {
            rest: self.messages,
        }
    }
}

/// Iterator over the messages of a frame.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Drop>;

    fn next(&mut self) -> Option<Self::Item> {
        let item =
            next_raw(&mut self.rest)?.and_then(|raw| Message::parse(raw.kind, raw.flags, raw.body));
        if item == Err(Drop::Malformed) {
            self.rest = &[];
        }
        Some(item)
    }
}

struct Raw<'a> {
    kind: u8,
    flags: u8,
    body: &'a [u8],
}

/// Cuts the next message off `rest`: `None` at the end, `Malformed` where lengths make no sense.
fn next_raw<'a>(rest: &mut &'a [u8]) -> Option<Result<Raw<'a>, Drop>> {
    if rest.first().is_none_or(|kind| *kind == TYPE_END) {
        *rest = &[];
        return None;
    }
    let mut r = Reader::new(rest);
    let mut cut = || {
        let (kind, flags, len) = (r.u8()?, r.u8()?, r.u16()?);
        let body = r.take(usize::from(len).checked_sub(MESSAGE_HEADER_LEN)?)?;
        Some(Raw { kind, flags, body })
    };
    let raw = cut();
    *rest = if raw.is_some() { r.rest() } else { &[] };
    Some(raw.ok_or(Drop::Malformed))
}

/// What [`FrameBuilder::finish`] made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Built {
    /// Bytes of the buffer that belong to the frame.
    pub linear: usize,
    /// Payload bytes that the caller attaches behind them.
    pub trailing: usize,
}

/// Puts messages into a buffer.
///
/// The last message may end in a payload that is not copied here: its length counts, the caller
/// attaches the bytes as a fragment. After it the frame is full.
pub struct FrameBuilder<'a> {
    buf: &'a mut [u8],
    mtu: usize,
    len: usize,
    trailing: Option<usize>,
}

impl<'a> FrameBuilder<'a> {
    /// A frame of at most `mtu` bytes behind the Ethernet header. `None` if `buf` has no room for
    /// the shortest frame.
    pub fn new(buf: &'a mut [u8], mtu: usize) -> Option<Self> {
        let room = buf.len().min(mtu) >= FRAME_MIN;
        room.then_some(FrameBuilder {
            buf,
            mtu,
            len: FRAME_HEADER_LEN,
            trailing: None,
        })
    }

    /// Bytes that another message may still have, its trailing payload included.
    pub fn remaining(&self) -> usize {
        match self.trailing {
            Some(_) => 0,
            None => self.mtu.saturating_sub(self.len),
        }
    }

    /// Whether no message is in it.
    pub fn is_empty(&self) -> bool {
        self.len == FRAME_HEADER_LEN
    }

    /// Adds a message whose own bytes `write` puts down and that `trailing` bytes will follow.
    pub(super) fn message(
        &mut self,
        kind: u8,
        flags: u8,
        trailing: Option<usize>,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> bool {
        self.try_message(kind, flags, trailing, write).is_some()
    }

    fn try_message(
        &mut self,
        kind: u8,
        flags: u8,
        trailing: Option<usize>,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Option<()> {
        if self.trailing.is_some() {
            return None;
        }
        let room = self.buf.get_mut(self.len..)?;
        let mut w = Writer::new(room);
        w.u8(kind).u8(flags).u16(0);
        write(&mut w);
        let written = w.finish()?;
        let whole = written.checked_add(trailing.unwrap_or(0))?;
        let end = self.len.checked_add(written)?;
        if whole > self.mtu.checked_sub(self.len)? {
            return None;
        }
        // The frame's own length field must hold the sum too.
        u16::try_from(end.checked_add(trailing.unwrap_or(0))?).ok()?;
        let (_, at) = room.split_at_mut_checked(2)?;
        Writer::new(at).u16(u16::try_from(whole).ok()?);
        self.len = end;
        self.trailing = trailing;
        Some(())
    }

    /// Writes the header and pads to the shortest frame.
    pub fn finish(self, header: &FrameHeader) -> Built {
        let FrameBuilder {
            buf, len, trailing, ..
        } = self;
        let trailing = trailing.unwrap_or(0);
        let messages = len
            .saturating_sub(FRAME_HEADER_LEN)
            .saturating_add(trailing);
        let flags = if header.limited { FRAME_LIMITED } else { 0 };
        // try_message() has kept the sum within u16 and new() has seen to the room.
        Writer::new(buf)
            .u8(FRAME_VERSION)
            .u8(flags)
            .u16(u16::try_from(messages).unwrap_or(0))
            .u32(0)
            .u64(header.cookie_echo)
            .u64(header.cookie_give);
        let padded = FRAME_MIN.saturating_sub(trailing).max(len);
        if let Some(padding) = buf.get_mut(len..padded) {
            padding.fill(0);
        }
        Built {
            linear: padded,
            trailing,
        }
    }
}

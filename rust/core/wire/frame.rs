// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Frames: a header and messages one after the other.

use super::{
    is_known, LookupRange, Message, BLOB_HEADER_LEN, CRITICAL, FRAME_HEADER_LEN, FRAME_LIMITED,
    FRAME_MIN, FRAME_VERSION, MESSAGE_HEADER_LEN, TYPE_BLOB_DATA, TYPE_BLOB_PATH, TYPE_END,
    TYPE_LOOKUP_RANGE,
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
    /// Bytes of the last message that are not here.
    behind: usize,
}

impl<'a> FrameView<'a> {
    /// Reads what follows the Ethernet header. Bytes after the length that the header states are
    /// padding and not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        Self::parse_head(bytes, 0)
    }

    /// Reads a frame of which only the head is here, see [`head_len`], and behind it are so many bytes
    /// more. Its last message may be a BLOB_DATA whose payload is [`Payload::Trailing`].
    ///
    /// [`Payload::Trailing`]: super::Payload::Trailing
    pub fn parse_head(head: &'a [u8], more: usize) -> Result<Self, Drop> {
        let mut r = Reader::new(head);
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
        let len = usize::from(len);
        let here = len.min(r.rest().len());
        let behind = len.saturating_sub(here);
        if behind > more {
            return Err(Drop::Truncated);
        }
        let messages = r.take(here).ok_or(Drop::Truncated)?;
        let mut rest = messages;
        while let Some(Ok(raw)) = next_raw(&mut rest, behind) {
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
            behind,
        })
    }

    /// The messages in order. An error concerns one message; after [`Drop::Malformed`] nothing
    /// follows, since the places of later messages cannot be trusted.
    pub fn messages(&self) -> Messages<'a> {
        Messages {
            rest: self.messages,
            behind: self.behind,
        }
    }
}

/// Iterator over the messages of a frame.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    behind: usize,
}

impl Messages<'_> {
    /// Takes the next message if it asks for entries: a [`Message`] is large, and would be moved about
    /// for what nearly every frame of a busy node consists of.
    pub(crate) fn next_range(&mut self) -> Option<Result<LookupRange, Drop>> {
        if self.rest.first() != Some(&TYPE_LOOKUP_RANGE) {
            return None;
        }
        let item = next_raw(&mut self.rest, self.behind)?
            .and_then(|raw| LookupRange::parse(raw.flags, raw.body));
        if item.is_err_and(|reason| reason == Drop::Malformed) {
            self.rest = &[];
        }
        Some(item)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Drop>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = next_raw(&mut self.rest, self.behind)?
            .and_then(|raw| Message::parse(raw.kind, raw.flags, raw.body, raw.behind));
        if matches!(item, Err(Drop::Malformed)) {
            self.rest = &[];
        }
        Some(item)
    }
}

/// How many bytes of a frame of `len` bytes behind its Ethernet header must be copied before anybody
/// looks at it, of which the first are `copied`: if it is more than those, so many are to be copied and
/// the question asked again. All of it, but for the payload of a BLOB_DATA that ends the frame.
pub fn head_len(copied: &[u8], len: usize) -> usize {
    let first = FRAME_HEADER_LEN.saturating_add(BLOB_HEADER_LEN);
    if copied.len() < first {
        return first.min(len);
    }
    blob_data_head(copied).map_or(len, |head| head.min(len))
}

/// Where the payload of the BLOB_DATA that ends the frame begins, or what must be here to tell.
pub(super) fn blob_data_head(copied: &[u8]) -> Option<usize> {
    let mut r = Reader::new(copied);
    let (_, len) = (r.u16()?, r.u16()?);
    let end = FRAME_HEADER_LEN.checked_add(usize::from(len))?;
    let mut at = FRAME_HEADER_LEN;
    // At most its path comes before it.
    for _ in 0..2 {
        let head = at.checked_add(BLOB_HEADER_LEN)?;
        let Some(bytes) = copied.get(at..head) else {
            return Some(head);
        };
        let mut r = Reader::new(bytes);
        let (kind, _, len) = (r.u8()?, r.u8()?, r.u16()?);
        at = at.checked_add(usize::from(len))?;
        match kind {
            TYPE_BLOB_DATA => return (at == end).then_some(head),
            TYPE_BLOB_PATH => {}
            _ => return None,
        }
    }
    None
}

struct Raw<'a> {
    kind: u8,
    flags: u8,
    body: &'a [u8],
    /// Bytes of the body that are not here.
    behind: usize,
}

/// Cuts the next message off `rest`, which `behind` bytes follow that are not here: `None` at the end,
/// `Malformed` where lengths make no sense.
fn next_raw<'a>(rest: &mut &'a [u8], behind: usize) -> Option<Result<Raw<'a>, Drop>> {
    if rest.first().is_none_or(|kind| *kind == TYPE_END) {
        *rest = &[];
        return None;
    }
    let mut r = Reader::new(rest);
    let mut cut = || {
        let (kind, flags, len) = (r.u8()?, r.u8()?, r.u16()?);
        let len = usize::from(len).checked_sub(MESSAGE_HEADER_LEN)?;
        // Only the payload of a BLOB_DATA may be missing, and only all of it.
        let missing = len.saturating_sub(r.rest().len());
        let headed = r.rest().len() == BLOB_HEADER_LEN.saturating_sub(MESSAGE_HEADER_LEN);
        if missing > 0 && !(kind == TYPE_BLOB_DATA && headed && missing == behind) {
            return None;
        }
        let body = r.take(len.saturating_sub(missing))?;
        Some(Raw {
            kind,
            flags,
            body,
            behind: missing,
        })
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
        self.place_message(trailing, |room| {
            let mut w = Writer::new(room);
            w.u8(kind).u8(flags).u16(0);
            write(&mut w);
            w.finish()
        })
    }

    /// Adds a message that `write` puts down in the room that it gets, but for its length. It says how
    /// many bytes there are; `trailing` more will follow them.
    pub(super) fn place_message(
        &mut self,
        trailing: Option<usize>,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<()> {
        if self.trailing.is_some() {
            return None;
        }
        let room = self.buf.get_mut(self.len..)?;
        let written = write(room)?;
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

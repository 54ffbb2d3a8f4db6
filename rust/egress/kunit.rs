// SPDX-License-Identifier: GPL-2.0

//! Long frames, as the stack cuts them in front of a device that does not carry them, and devices that
//! none of their pieces fits.

use super::*;
use crate::{
    net::{
        device::Rtnl,
        net::Net, //
    },
    store::kunit::Bench,
    sync::shared, //
};
use feed_core::{
    id::BlobName,
    token::Token,
    wire::{
        self,
        Answer,
        BlobData,
        FrameHeader,
        FrameView,
        Message, //
    }, //
};
use kernel::prelude::*;

/// Bytes of a window.
const LEN: u32 = 32 << 10;

/// The head of a frame with all of a window.
fn head(memory: &mut [u8; PIECE_HEAD_LEN]) -> Result {
    let mut frame = wire::FrameBuilder::new(memory, usize::MAX).ok_or(EINVAL)?;
    let data = BlobData {
        answer: Answer {
            token: Token::from_u64(7),
            hops: 1,
        },
        window: 0,
        offset: 0,
        payload: wire::Payload::Trailing(LEN),
    };
    let built = data.emit(&mut frame).then(|| frame.finish(&FrameHeader::default()));
    match built {
        Some(built) if built.linear == PIECE_HEAD_LEN => Ok(()),
        _ => Err(EINVAL),
    }
}

/// A device of the machine's own, with another MTU for a while.
struct Loopback {
    device: Device,
    mtu: u32,
}

impl Loopback {
    fn new(mtu: u32) -> Result<Self> {
        let rtnl = Rtnl::lock();
        let device = Device::by_name(&rtnl, Net::initial(), c"lo").ok_or(ENODEV)?;
        let before = device.mtu();
        device.set_mtu(&rtnl, mtu)?;
        Ok(Self { device, mtu: before })
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        let _ = self.device.set_mtu(&Rtnl::lock(), self.mtu);
    }
}

/// A frame with a window for a device with this MTU now, whatever it was when the head was made.
fn build_for(bench: &Bench, blob: &BlobName, mtu: u32) -> Result<Option<ReadyFrame>> {
    let mut memory = [0; PIECE_HEAD_LEN];
    head(&mut memory)?;
    let lo = Loopback::new(mtu)?;
    let mut recent = RecentObjects::new()?;
    let payload = Payload {
        blob: *blob,
        window: 0,
        offset: 0,
        len: LEN,
    };
    let (store, ethertype) = (&bench.store, shared::ethertype());
    let (device, payload) = (&lo.device, Some(payload));
    Ok(build(store, &mut recent, None, device, ethertype, [2; 6], &memory, payload))
}

/// Its pieces are no longer than the MTU, and have the window, all of it and in order.
fn cut() -> Result {
    let bench = Bench::new()?;
    let blob = bench.store_blob(1, LEN)?;
    let mut window = KVec::from_elem(0, LEN as usize, GFP_KERNEL)?;
    if !bench.store.blob_read(&mut RecentObjects::new()?, &blob, 0, 0, &mut window) {
        return Err(ENOENT);
    }
    for mtu in [9000, 1500, 1280, 576] {
        let frame = build_for(&bench, &blob, mtu)?.ok_or(EINVAL)?;
        let mut at = 0;
        frame.cut(mtu as usize, |piece| {
            let view = FrameView::parse(piece).map_err(|_| EINVAL)?;
            let mut messages = view.messages();
            let Some(Ok(Message::BlobData(data))) = messages.next() else {
                return Err(EINVAL);
            };
            let bytes = data.payload.bytes();
            let is_next = data.offset as usize == at
                && window.get(at..at + bytes.len()) == Some(bytes)
                && piece.len() == PIECE_HEAD_LEN + bytes.len()
                && messages.next().is_none();
            at += bytes.len();
            is_next.then_some(()).ok_or(EBADMSG)
        })?;
        if at != window.len() {
            return Err(ENODATA);
        }
    }
    bench.end()
}

/// A device whose MTU has shrunk below what comes before the payload gets nothing.
fn shrunk() -> Result {
    let bench = Bench::new()?;
    let blob = bench.store_blob(1, LEN)?;
    let head = PIECE_HEAD_LEN as u32;
    let least = head + 64 + PIECE_SPARE as u32;
    for mtu in [68, head - 1, head, head + 63, least - 1] {
        if build_for(&bench, &blob, mtu)?.is_some() {
            return Err(EMSGSIZE);
        }
    }
    if build_for(&bench, &blob, least)?.is_none() {
        return Err(ENODATA);
    }
    bench.end()
}

/// What somebody has put behind the window is nobody's payload: such a frame is not cut.
fn trailer() -> Result {
    let bench = Bench::new()?;
    let blob = bench.store_blob(1, LEN)?;
    let mut memory = [0; PIECE_HEAD_LEN];
    head(&mut memory)?;
    let lo = Loopback::new(1500)?;
    for trailer in [0, 1, 4, 64] {
        let mut frame = FrameBuilder::new(None, &lo.device, memory.len()).ok_or(ENOMEM)?;
        let append = |frame: &mut FrameBuilder, len| {
            let pieces = bench.store.blob_pages(&blob, 0, 0, len).into_iter().flatten();
            let mut appended = 0;
            for piece in pieces {
                appended += piece.len;
                if !frame.append_folio(piece.folio, piece.offset, piece.len) {
                    return false;
                }
            }
            appended == len as usize
        };
        let is_made = frame.put(&memory)
            && append(&mut frame, LEN)
            && frame.allow_cut(memory.len(), 1408, PIECE_HEAD_LEN)
            && append(&mut frame, trailer);
        let ready = frame.finish(&[2; 6], shared::ethertype());
        let mut pieces = 0;
        let cut = ready.ok_or(EINVAL)?.cut(LEN as usize, |_| {
            pieces += 1;
            Ok(())
        });
        if !is_made || cut.is_ok() != (trailer == 0) || (pieces > 0) != (trailer == 0) {
            return Err(EBADMSG);
        }
    }
    bench.end()
}

#[kunit_tests(feed_frames)]
mod tests {
    use super::*;

    #[test]
    fn cut() -> Result {
        super::cut()
    }

    #[test]
    fn shrunk() -> Result {
        super::shrunk()
    }

    #[test]
    fn trailer() -> Result {
        super::trailer()
    }
}

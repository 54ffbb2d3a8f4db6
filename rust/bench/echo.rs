// SPDX-License-Identifier: GPL-2.0

//! The floor: what the network stack itself costs for a frame in and a frame out, by the same device
//! or by another one.

use super::net::{
    device::{
        Device,
        Mac, //
    },
    hook::{
        Frame,
        Receive, //
    },
    skb::{
        Drop,
        FrameBuilder,
        Frames,
        ReadyFrame,
        Spare, //
    },
};
use kernel::{
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Answers every frame by one of the same size.
pub(crate) struct Echo {
    device: Device,
    page: Page,
    /// Behind the Ethernet header: what is copied into the frame, and what is not.
    linear: usize,
    paged: usize,
}

/// Of an answer, what our own has in its linear part: headers and a proof.
const LINEAR_MAX: usize = 512;

impl Echo {
    /// Answers on `device` with frames of `answer` bytes behind the Ethernet header.
    pub(crate) fn new(device: Device, answer: usize) -> Result<Self> {
        let linear = answer.min(LINEAR_MAX);
        if answer - linear > PAGE_SIZE {
            return Err(EMSGSIZE);
        }
        Ok(Self {
            device,
            page: Page::alloc_page(GFP_KERNEL)?,
            linear,
            paged: answer - linear,
        })
    }

    /// In the buffer of the frame that it answers, as a node does it.
    fn answer(&self, spare: Option<Spare>, to: &Mac, ethertype: u16) -> Option<ReadyFrame> {
        let mut frame = FrameBuilder::new(spare, &self.device, self.linear)?;
        let whole = frame.put(&[0; LINEAR_MAX][..self.linear])
            && (self.paged == 0 || frame.append_fixed(&self.page, self.paged));
        whole.then(|| frame.finish(to, ethertype))?
    }
}

/// Hands every frame on by another device, as a node between two others does, without a look at it.
pub(crate) struct Relay {
    out: Device,
    to: Mac,
}

impl Relay {
    /// By `out`, to this neighbour there.
    pub(crate) fn new(out: Device, to: Mac) -> Self {
        Self { out, to }
    }

    /// What has the bytes of a frame, in its buffer if that is given away.
    fn hand_on(&self, bytes: &[u8], spare: Option<Spare>) -> Option<ReadyFrame> {
        let mut frame = FrameBuilder::new(spare, &self.out, bytes.len())?;
        frame.put(bytes).then(|| frame.finish(&self.to, super::ETHERTYPE))?
    }
}

impl Receive for Relay {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let mut bytes = [0; LINEAR_MAX];
        let bytes = bytes.get_mut(..frame.len()).ok_or(Drop::Unwanted)?;
        let copied = frame.copy(0, bytes);
        let mut frames = Frames::new();
        frames.push(copied.then(|| self.hand_on(bytes, None)).flatten().ok_or(Drop::Unwanted)?);
        frames.transmit(|_| ());
        Ok(())
    }

    /// Each in the buffer that it came in.
    fn receive_all(&self, frames: &mut [Option<Frame<'_>>]) {
        let mut bytes = [0; LINEAR_MAX];
        let mut onward = Frames::new();
        for frame in frames.iter_mut().flatten() {
            let bytes = bytes.get_mut(..frame.len());
            let copied = bytes.and_then(|bytes| frame.copy(0, bytes).then_some(bytes));
            match copied.and_then(|bytes| self.hand_on(bytes, frame.give_away())) {
                Some(frame) => onward.push(frame),
                None => frame.outcome = Err(Drop::Unwanted),
            }
        }
        onward.transmit(|_| ());
    }
}

impl Receive for Echo {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        let mut frames = Frames::new();
        let answer = self.answer(None, &frame.source(), super::ETHERTYPE);
        frames.push(answer.ok_or(Drop::Unwanted)?);
        frames.transmit(|_| ());
        Ok(())
    }

    /// Answers to frames that have arrived together are sent together, as a node's are.
    fn receive_all(&self, frames: &mut [Option<Frame<'_>>]) {
        let mut answers = Frames::new();
        for frame in frames.iter_mut().flatten() {
            match self.answer(frame.give_away(), &frame.source(), super::ETHERTYPE) {
                Some(answer) => answers.push(answer),
                None => frame.outcome = Err(Drop::Unwanted),
            }
        }
        answers.transmit(|_| ());
    }
}

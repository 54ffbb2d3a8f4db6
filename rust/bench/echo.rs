// SPDX-License-Identifier: GPL-2.0

//! The floor: what the network stack itself costs for a frame in and a frame out.

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

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
        Frames, //
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

    fn answer(&self, to: &Mac, ethertype: u16) -> Option<()> {
        let mut frame = FrameBuilder::new(&self.device, self.linear)?;
        let whole = frame.put(&[0; LINEAR_MAX][..self.linear])
            && (self.paged == 0 || frame.append_fixed(&self.page, self.paged));
        let mut frames = Frames::new();
        frames.push(whole.then(|| frame.finish(to, ethertype))??);
        frames.transmit(|_| ());
        Some(())
    }
}

impl Receive for Echo {
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Drop> {
        self.answer(&frame.source(), super::ETHERTYPE)
            .ok_or(Drop::Unwanted)
    }
}

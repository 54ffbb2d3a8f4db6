// SPDX-License-Identifier: GPL-2.0

//! Bytes of the store as the payload of a frame.

use super::skb::FrameBuilder;
use crate::mm::Folio;
use core::ptr::NonNull;

impl FrameBuilder {
    /// Appends bytes of a folio without copying them. False if the frame has no place for them.
    ///
    /// The bytes must be published: nothing writes to those any more.
    pub(crate) fn append_folio(&mut self, folio: Folio, offset: usize, len: usize) -> bool {
        if len == 0 || offset.checked_add(len).is_none_or(|end| end > folio.len()) {
            return false;
        }
        let page_size = kernel::page::PAGE_SIZE;
        let Some(page) = NonNull::new(folio.page(offset)) else {
            return false;
        };
        // SAFETY: The range was checked to be inside of the folio, and published bytes do not
        // change. The frame takes over the reference, which is forgotten below.
        let taken = unsafe {
            self.append_page(page.cast(), (offset % page_size) as u32, len as u32)
        };
        if taken {
            let _ = folio.into_raw();
        }
        taken
    }
}

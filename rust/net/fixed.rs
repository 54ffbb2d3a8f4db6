// SPDX-License-Identifier: GPL-2.0

//! A page that never changes as the payload of a frame: for the benchmark's floor only.

use super::skb::FrameBuilder;
use core::ptr::NonNull;
use feed_bindings as bindings;
use kernel::page::{
    Page,
    PAGE_SIZE, //
};

impl FrameBuilder {
    /// Appends the first `len` bytes of a page without copying them. False if they are too many, or
    /// the frame has no place for them. Nobody may write to the page any more.
    pub(crate) fn append_fixed(&mut self, page: &Page, len: usize) -> bool {
        let Some(pages) = NonNull::new(page.as_ptr().cast::<bindings::page>()) else {
            return false;
        };
        if len > PAGE_SIZE {
            return false;
        }
        // SAFETY: The page is valid; the frame gets a reference of its own.
        unsafe { bindings::get_page(pages.as_ptr()) };
        // SAFETY: The reference is the frame's, the range was checked, and the caller promises that
        // the bytes stay as they are.
        let taken = unsafe { self.append_page(pages, 0, len as u32) };
        if !taken {
            // SAFETY: Taken above, and still ours.
            unsafe { bindings::put_page(pages.as_ptr()) };
        }
        taken
    }
}

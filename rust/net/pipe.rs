// SPDX-License-Identifier: GPL-2.0

//! Pages of the store as buffers of a pipe, for `splice` out of a socket.

use super::sock::PipeCall;
use crate::{
    bindings,
    mm::{
        Folio,
        PAGE_SIZE, //
    }, //
};
use core::mem::ManuallyDrop;
use kernel::prelude::*;

impl PipeCall {
    /// Appends bytes of `folio` to the pipe without a copy, page by page.
    ///
    /// Returns how many bytes fitted. The pipe's buffers hold references of their own and use the
    /// core kernel's operations: a pipe may outlive the module. Nobody can write to such a page
    /// through the pipe, and nobody can steal it.
    ///
    /// Context: process; the caller of `splice_read` holds the pipe's lock.
    ///
    /// # Errors
    /// `EAGAIN` when not a single byte fits, `EPIPE` when there is no reader any more.
    pub(crate) fn add(&self, folio: &Folio, offset: usize, len: usize) -> Result<usize> {
        let mut done = 0;
        while done < len {
            let at = offset + done;
            let in_page = at % PAGE_SIZE;
            let now = (PAGE_SIZE - in_page).min(len - done);
            // The buffer's reference. add_to_pipe() puts it when it fails.
            let reference = ManuallyDrop::new(folio.clone());
            // SAFETY: The pipe is live and locked by the caller of `splice_read`; the page is
            // held by `reference`, which the buffer takes over.
            let added = unsafe {
                bindings::feed_pipe_add_page(self.pipe, reference.page(at), in_page as u32, now as u32)
            };
            if added < 0 {
                if done > 0 {
                    break;
                }
                return Err(Error::from_errno(added as i32));
            }
            done += now;
        }
        Ok(done)
    }
}

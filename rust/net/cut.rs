// SPDX-License-Identifier: GPL-2.0

//! Long frames: they cross the stack, and devices of this machine that carry them, in one piece, as those of
//! TCP do, and are cut into frames of the link's length by the stack in front of a device that does not.
//!
//! How a frame of ours is cut the stack asks by its EtherType. It does so for buffers that are marked for
//! it ([`FrameBuilder::allow_cut`]), with the payload in pages, so that pieces share them.
//!
//! [`FrameBuilder::allow_cut`]: super::skb::FrameBuilder::allow_cut

use core::{
    marker::PhantomData,
    ops::Range,
    pin::Pin,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    types::Opaque, //
};

/// Who knows how frames are cut.
pub(crate) trait Cut: 'static {
    /// Where the payload begins of a frame that can be cut, counted from behind the Ethernet header, and
    /// where it ends. `None` for other frames, and if `head` does not reach as far as it begins.
    fn payload_range(head: &[u8]) -> Option<Range<usize>>;

    /// Makes of a frame's head, up to the payload, that of a piece with `len` bytes of it from `at` on. Gives
    /// its length, which may be less than before.
    fn cut_head(head: &mut [u8], at: u32, len: u32) -> Option<usize>;
}

/// Bytes before a payload at most: a frame's header, and two messages' with nine hashes.
const HEAD_MAX: usize = 512;

/// Frames with one EtherType are cut as `C` says, until it is dropped.
///
/// # Invariants
///
/// `offload` is registered.
#[pin_data(PinnedDrop)]
pub(crate) struct Offload<C: Cut> {
    #[pin]
    offload: Opaque<bindings::packet_offload>,
    _cut: PhantomData<C>,
}

// SAFETY: The object belongs to C.
unsafe impl<C: Cut> Send for Offload<C> {}
// SAFETY: As above.
unsafe impl<C: Cut> Sync for Offload<C> {}

impl<C: Cut> Offload<C> {
    /// Context: process, may sleep.
    pub(crate) fn register(ethertype: u16) -> Result<Pin<KBox<Self>>> {
        let this = KBox::pin_init(
            pin_init!(Self {
                offload: Opaque::new(bindings::packet_offload {
                    type_: ethertype.to_be(),
                    callbacks: bindings::offload_callbacks {
                        gso_segment: Some(Self::segment),
                        ..Default::default()
                    },
                    ..Default::default()
                }),
                _cut: PhantomData,
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: Pinned, filled in, and taken away before it is freed.
        // INVARIANT: Registered now.
        unsafe { bindings::dev_add_offload(this.offload.get()) };
        Ok(this)
    }

    /// Context: as that of transmitting, RCU read side.
    unsafe extern "C" fn segment(
        skb: *mut bindings::sk_buff,
        features: bindings::netdev_features_t,
    ) -> *mut bindings::sk_buff {
        // SAFETY: C gives us a valid buffer whose data begin behind its Ethernet header.
        match unsafe { Self::pieces(skb, features) } {
            Ok(first) => first.as_ptr(),
            Err(error) => error.to_ptr(),
        }
    }

    /// The list of frames that a long one is cut into. It stays the caller's.
    ///
    /// # Safety
    ///
    /// `skb` must be valid, its data begin behind its Ethernet header, and that be where it says.
    unsafe fn pieces(
        skb: *mut bindings::sk_buff,
        features: bindings::netdev_features_t,
    ) -> Result<NonNull<bindings::sk_buff>> {
        let mut head = [0; HEAD_MAX];
        // SAFETY: The caller promises a valid buffer. What others mark in other ways, or what came
        // from a program, is not cut here.
        let (link, linear) = unsafe {
            if !bindings::skb_may_be_cut(skb) {
                return Err(EINVAL);
            }
            (
                bindings::skb_link_header_len(skb) as usize,
                (*skb).len.saturating_sub((*skb).data_len) as usize,
            )
        };
        let head = head.get_mut(..linear.min(HEAD_MAX)).ok_or(EINVAL)?;
        // SAFETY: As above; so many bytes are there.
        if unsafe { bindings::skb_copy_bits(skb, 0, head.as_mut_ptr().cast(), head.len() as c_int) } != 0 {
            return Err(EINVAL);
        }
        let payload = C::payload_range(head).ok_or(EINVAL)?;
        // Somebody else's trailer, for whom one would have to be made for each piece.
        // SAFETY: As above.
        if unsafe { (*skb).len } as usize != payload.end {
            return Err(EINVAL);
        }
        let start = payload.start;
        let body = link.saturating_add(start);
        // SAFETY: So many bytes are linear. From here on the head is a part of what each piece gets
        // a copy of; who called us finds the data again by the link's header.
        let first = unsafe {
            bindings::skb_pull(skb, start as c_uint);
            bindings::skb_segment(skb, bindings::cut_features(features))
        };
        let first = NonNull::new(from_err_ptr(first)?).ok_or(EINVAL)?;
        let mut at = 0u32;
        let mut next = first.as_ptr();
        while !next.is_null() {
            let piece = next;
            // SAFETY: The pieces are valid, and nobody else's. Each begins with a copy of the link's header
            // and the head, in its linear part.
            unsafe {
                next = bindings::skb_next(piece);
                let len = ((*piece).len as usize).saturating_sub(body) as u32;
                let head = core::slice::from_raw_parts_mut((*piece).data.add(link), start);
                let gone = C::cut_head(head, at, len).and_then(|left| start.checked_sub(left));
                let Some(gone) = gone else {
                    bindings::kfree_skb_list_reason(
                        first.as_ptr(),
                        bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
                    );
                    return Err(EINVAL);
                };
                bindings::skb_take_out(piece, body.saturating_sub(gone) as c_uint, gone as c_uint);
                bindings::skb_finish_piece(piece, link as c_uint);
                at = at.saturating_add(len);
            }
        }
        // Who called us looks once more whether there is anything to be summed up, and warns. The ends of
        // tunnels that it came through may have counted down that there is not.
        // SAFETY: As above.
        unsafe { bindings::skb_says_no_sum(skb) };
        Ok(first)
    }
}

#[pinned_drop]
impl<C: Cut> PinnedDrop for Offload<C> {
    /// Context: process, may sleep (waits for calls in progress).
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::dev_remove_offload(self.offload.get()) };
    }
}

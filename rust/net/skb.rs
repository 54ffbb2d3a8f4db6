// SPDX-License-Identifier: GPL-2.0

//! Frames to be sent.
//!
//! A frame is built while the engine's lock is held, and sent when no lock is held any more: in
//! between it waits in a [`Frames`] list. It keeps its device by a reference until it is sent.
//!
//! The payload of an answer is not copied: pages of the store become fragments of the frame. Each
//! fragment holds a reference to its page, and the network core gives it back.

use super::device::{
    Device,
    Mac, //
};
use core::ptr::{
    self,
    NonNull, //
};
use feed_bindings as bindings;
#[cfg(CONFIG_KUNIT = "y")]
use kernel::error::{
    from_err_ptr,
    to_result, //
};
use kernel::prelude::*;

/// Why the core frees a buffer, in its own words; ours are in counters and traces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(crate) enum Drop {
    /// Was not for this port.
    OtherHost = bindings::skb_drop_reason_SKB_DROP_REASON_OTHERHOST,
    /// Is shorter than it says or needs to be.
    Truncated = bindings::skb_drop_reason_SKB_DROP_REASON_HDR_TRUNC,
    /// Holds something that the protocol does not allow.
    Malformed = bindings::skb_drop_reason_SKB_DROP_REASON_UNHANDLED_PROTO,
    /// Is well-formed but was not wanted.
    Unwanted = bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
}

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: usize = bindings::ETH_HLEN as usize;
/// What pieces of long frames must be shorter than they could be: the stack, where it asks whether they are
/// short enough, counts a header of SCTP in each (see `allow_cut` of the C helpers).
pub(crate) const PIECE_SPARE: usize = 12;
/// The shortest frame that an Ethernet carries, without its checksum.
const SHORTEST: usize = bindings::ETH_ZLEN as usize;

/// A received buffer that nobody looks at any more: a frame may be made in it.
///
/// # Invariants
///
/// `skb` is valid, and our reference to it is this object's.
pub(crate) struct Spare {
    skb: NonNull<bindings::sk_buff>,
}

// SAFETY: Buffers may be used from any thread.
unsafe impl Send for Spare {}

impl Spare {
    /// # Safety
    ///
    /// `skb` must be a valid buffer; the caller gives its reference up.
    pub(super) unsafe fn new(skb: NonNull<bindings::sk_buff>) -> Self {
        // INVARIANT: As the caller promises.
        Self { skb }
    }

    /// The buffer, as if it was new, with so much headroom and tailroom. `None` if somebody else has
    /// it, too, or it is too small: then it is given back.
    #[inline]
    fn renew(self, headroom: c_uint, room: c_uint) -> Option<NonNull<bindings::sk_buff>> {
        // SAFETY: Valid by the type invariant.
        if !unsafe { bindings::skb_renew(self.skb.as_ptr(), headroom, room) } {
            return None;
        }
        Some(core::mem::ManuallyDrop::new(self).skb)
    }
}

impl core::ops::Drop for Spare {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::consume_skb(self.skb.as_ptr()) };
    }
}

/// A frame in the making.
///
/// # Invariants
///
/// `skb` is valid and ours alone, has at least `room` bytes of tailroom, and headroom for its
/// device's header. `device` holds a reference that is not given back before the frame is sent.
pub(crate) struct FrameBuilder {
    skb: NonNull<bindings::sk_buff>,
    device: NonNull<bindings::net_device>,
    room: usize,
}

impl FrameBuilder {
    /// Makes an empty frame with room for `linear` bytes behind the Ethernet header: in the buffer of a
    /// received one if there is one that is ours alone and large enough.
    ///
    /// Context: any.
    pub(crate) fn new(spare: Option<Spare>, device: &Device, linear: usize) -> Option<Self> {
        let dev = device.as_ptr();
        // Room for padding, too.
        let room = linear.max(SHORTEST - ETHERNET_HEADER);
        // SAFETY: The device is valid.
        let headroom = unsafe { bindings::ll_reserved_space(dev) };
        let tailroom = c_uint::try_from(room).ok()?;
        let size = tailroom.checked_add(headroom)?;
        let skb = match spare.and_then(|spare| spare.renew(headroom, tailroom)) {
            Some(skb) => skb,
            None => {
                // SAFETY: No requirements; without sleeping, and without a message if there is none.
                let skb = NonNull::new(unsafe {
                    bindings::alloc_skb(size, bindings::GFP_ATOMIC | bindings::__GFP_NOWARN)
                })?;
                // SAFETY: The buffer is new, empty, and large enough.
                unsafe { bindings::skb_reserve(skb.as_ptr(), c_int::try_from(headroom).ok()?) };
                skb
            }
        };
        // SAFETY: The device is valid. The frame may outlive the borrowed reference.
        unsafe { bindings::dev_hold(dev) };
        // INVARIANT: As made above.
        Some(Self {
            skb,
            device: device.as_non_null(),
            room,
        })
    }

    /// Appends bytes to the linear part. False if they do not fit, or behind a fragment.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room || self.has_fragments() {
            return false;
        }
        // INVARIANT: So much less room is left.
        self.room -= bytes.len();
        // SAFETY: By the type invariant there is room; the buffer is linear, as checked above;
        // `skb_put` gives the start of as many bytes as asked for.
        unsafe {
            let at = bindings::skb_put(self.skb.as_ptr(), bytes.len() as c_uint);
            ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast::<u8>(), bytes.len());
        }
        true
    }

    /// Appends `len` bytes at `offset` of a page, without copying. False if the frame has no
    /// place for another fragment: then the reference is the caller's as before.
    ///
    /// # Safety
    ///
    /// The caller passes a reference to the page (or its folio) on to the frame. The range must
    /// lie inside of the page's folio, and its bytes must not change any more.
    pub(crate) unsafe fn append_page(
        &mut self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
    ) -> bool {
        // SAFETY: Valid by the type invariant.
        if unsafe { bindings::skb_nr_frags(self.skb.as_ptr()) } >= bindings::MAX_SKB_FRAGS {
            return false;
        }
        // SAFETY: There is a place; the caller promises the rest.
        unsafe { bindings::skb_append_page(self.skb.as_ptr(), page.as_ptr(), offset, len) };
        true
    }

    /// Lets a long frame go out uncut, if it is to be cut into pieces of `piece` bytes of payload behind
    /// `head` bytes where it must be, which are no more than `each` in all but the first. False if
    /// that cannot be.
    pub(crate) fn allow_cut(&mut self, head: usize, piece: u16, each: usize) -> bool {
        // SAFETY: Valid by the type invariant.
        let len = unsafe { (*self.skb.as_ptr()).len as usize };
        if piece == 0 || head >= len || each > head || usize::from(u16::MAX) < head {
            return false;
        }
        // SAFETY: As above; the payload is not empty, and its head has `each` bytes.
        unsafe {
            bindings::skb_allow_cut(
                self.skb.as_ptr(),
                head as c_uint,
                piece.into(),
                each as c_uint,
            );
        }
        true
    }

    /// Says which flow the frame belongs to. Queues and CPUs are chosen by it; without, all our
    /// frames would be one flow.
    pub(crate) fn set_hash(&mut self, hash: u32) {
        // SAFETY: Valid by the type invariant.
        unsafe {
            bindings::skb_set_hash(
                self.skb.as_ptr(),
                hash,
                bindings::pkt_hash_types_PKT_HASH_TYPE_L4,
            )
        };
    }

    /// Puts the Ethernet header in front and fills a short frame up. `None` if that fails: the
    /// frame is gone then.
    pub(crate) fn finish(self, to: &Mac, ethertype: u16) -> Option<ReadyFrame> {
        self.finish_from(None, to, ethertype)
    }

    /// The same with another sender's address than the device's own.
    pub(crate) fn finish_from(
        self,
        from: Option<&Mac>,
        to: &Mac,
        ethertype: u16,
    ) -> Option<ReadyFrame> {
        // SAFETY: Valid by the type invariant.
        let len = unsafe { (*self.skb.as_ptr()).len as usize };
        if len + ETHERNET_HEADER < SHORTEST {
            if self.has_fragments() || SHORTEST - ETHERNET_HEADER - len > self.room {
                return None;
            }
            let fill = SHORTEST - ETHERNET_HEADER - len;
            // SAFETY: There is room, and the buffer is linear.
            unsafe { bindings::skb_put_zero(self.skb.as_ptr(), fill as c_uint) };
        }
        let address = padded(to);
        let source = from.map(padded);
        let source = source.as_ref().map_or(ptr::null(), |source| source.as_ptr());
        // SAFETY: The buffer is valid, its headroom is what the device asks for, the addresses
        // are as long as any device's, and the device is valid by our reference. No source address
        // means the device's own.
        let header = unsafe {
            let (skb, device) = (self.skb.as_ptr(), self.device.as_ptr());
            bindings::skb_address(skb, device, ethertype);
            bindings::dev_hard_header(
                skb,
                device,
                ethertype,
                address.as_ptr().cast(),
                source.cast(),
                (*skb).len,
            )
        };
        (header >= 0).then_some(ReadyFrame(self))
    }

    fn has_fragments(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { (*self.skb.as_ptr()).data_len != 0 }
    }
}

impl core::ops::Drop for FrameBuilder {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the buffer is ours, and so is the device's reference. The
        // buffer goes first.
        unsafe {
            bindings::consume_skb(self.skb.as_ptr());
            bindings::dev_put(self.device.as_ptr());
        }
    }
}

/// As long as any device's address, whatever the device has become meanwhile.
fn padded(mac: &Mac) -> [u8; bindings::MAX_ADDR_LEN as usize] {
    let mut address = [0; bindings::MAX_ADDR_LEN as usize];
    for (place, byte) in address.iter_mut().zip(mac) {
        *place = *byte;
    }
    address
}

/// A frame that is complete.
pub(crate) struct ReadyFrame(FrameBuilder);

/// What became of a frame.
pub(crate) struct Sent {
    /// Number of the device that it was given to.
    pub(crate) ifindex: u32,
    /// Bytes on the wire, without the checksum.
    pub(crate) bytes: usize,
    /// Whether the device took it.
    pub(crate) taken: bool,
}

impl ReadyFrame {
    /// Has the stack cut it as in front of a device that carries no long frames, and gives `look` the
    /// bytes of each piece behind its Ethernet header, up to `most` of them. Context: any.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn cut(self, most: usize, mut look: impl FnMut(&[u8]) -> Result) -> Result {
        let mut bytes = KVec::from_elem(0, most, GFP_ATOMIC)?;
        // SAFETY: The buffer is complete and ours; it says which of the stack's functions cuts it, and
        // so do the pieces, which are ours as well.
        unsafe {
            let first = bindings::__skb_gso_segment(self.0.skb.as_ptr(), 0, true);
            let first = from_err_ptr(first)?;
            let mut piece = first;
            let mut seen = Ok(());
            while !piece.is_null() && seen.is_ok() {
                let len = ((*piece).len as usize).saturating_sub(ETHERNET_HEADER);
                seen = bytes.get_mut(..len).ok_or(EMSGSIZE).and_then(|bytes| {
                    let (from, to) = (ETHERNET_HEADER as c_int, bytes.as_mut_ptr().cast());
                    to_result(bindings::skb_copy_bits(piece, from, to, len as c_int))?;
                    look(bytes)
                });
                piece = bindings::skb_next(piece);
            }
            bindings::kfree_skb_list_reason(
                first,
                bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            );
            seen
        }
    }

    /// Hands the frame to its device.
    ///
    /// Context: process or softirq, no lock held.
    fn send(self) -> Sent {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: The buffer is complete and ours, and is given up here; the reference to the
        // device is given back when the device is not used any more.
        unsafe {
            let (skb, device) = (this.0.skb.as_ptr(), this.0.device.as_ptr());
            let bytes = (*skb).len as usize;
            let ifindex = (*device).ifindex.unsigned_abs();
            let outcome = bindings::dev_queue_xmit(skb);
            bindings::dev_put(device);
            Sent {
                ifindex,
                bytes,
                taken: outcome == bindings::NET_XMIT_SUCCESS as c_int
                    || outcome == bindings::NET_XMIT_CN as c_int,
            }
        }
    }
}

/// Frames that wait until all locks are dropped, first in, first out.
///
/// # Invariants
///
/// `first` is the head of a list of frames linked by `next`, which ends with `last`; both are
/// null if there is none. Each was a [`ReadyFrame`] whose parts this list owns; its device is
/// found in the buffer.
pub(crate) struct Frames {
    first: *mut bindings::sk_buff,
    last: *mut bindings::sk_buff,
}

// SAFETY: The list owns its frames; buffers and devices may be used from any thread.
unsafe impl Send for Frames {}

impl Frames {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
        }
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Appends a frame. Context: any.
    pub(crate) fn push(&mut self, frame: ReadyFrame) {
        let skb = core::mem::ManuallyDrop::new(frame).0.skb.as_ptr();
        // INVARIANT: The frame becomes the last one.
        // SAFETY: All frames of the list are valid and ours, and so is the new one.
        unsafe {
            bindings::skb_set_next(skb, ptr::null_mut());
            if self.last.is_null() {
                self.first = skb;
            } else {
                bindings::skb_set_next(self.last, skb);
            }
        }
        self.last = skb;
    }

    /// Appends all of `more`. Context: any.
    pub(crate) fn append(&mut self, mut more: Frames) {
        if more.is_empty() {
            return;
        }
        // INVARIANT: The other list's frames follow this one's.
        if self.last.is_null() {
            self.first = more.first;
        } else {
            // SAFETY: All frames of both lists are valid and ours.
            unsafe { bindings::skb_set_next(self.last, more.first) };
        }
        self.last = more.last;
        more.first = ptr::null_mut();
        more.last = ptr::null_mut();
    }

    /// Takes the first frame out.
    fn pop(&mut self) -> Option<ReadyFrame> {
        let skb = NonNull::new(self.first)?;
        // INVARIANT: The second frame becomes the first one.
        // SAFETY: The frame is valid and ours.
        let device = unsafe {
            self.first = bindings::skb_next(skb.as_ptr());
            bindings::skb_set_next(skb.as_ptr(), ptr::null_mut());
            bindings::skb_device(skb.as_ptr())
        };
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        Some(ReadyFrame(FrameBuilder {
            skb,
            // SAFETY: `finish` has set it.
            device: unsafe { NonNull::new_unchecked(device) },
            room: 0,
        }))
    }

    /// Sends all frames, and tells of each what became of it.
    ///
    /// Context: process or softirq, no lock held.
    pub(crate) fn transmit(&mut self, mut tell: impl FnMut(Sent)) {
        while let Some(frame) = self.pop() {
            tell(frame.send());
        }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl core::ops::Drop for Frames {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

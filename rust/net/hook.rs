// SPDX-License-Identifier: GPL-2.0

//! Frames that arrive: one packet handler per port.
//!
//! The handler hangs on one device and one EtherType. It is called in softirq context inside of an
//! RCU read-side section, for one frame or for a list of them. It never changes a buffer: a
//! capture or another handler may have the same one, so there is nothing to unshare, and what the
//! receiver wants it copies.
//!
//! Tags: the network core has taken VLAN tags off before a handler is called. A frame for a VLAN
//! device is offered to its lower device too, and one with a tag that no device here has is marked
//! as somebody else's; neither is passed on.

use super::{
    device::{
        Device,
        Mac,
        Rtnl, //
    },
    skb::{
        Drop as Reason,
        Spare, //
    }, //
    softirq::Inside, //
};
use core::{
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull, //
};
use feed_bindings as bindings;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Whom frames are for.
pub(crate) trait Receive: Send + Sync + 'static {
    /// A frame has arrived. Afterwards the buffer is freed: as used if there is no reason, else
    /// as dropped for that reason, as the kernel's drop monitor tells it.
    ///
    /// Context: softirq, RCU read side.
    fn receive(&self, frame: &Frame<'_>) -> Result<(), Reason>;

    /// The same for frames that have arrived together; each takes down what became of it.
    ///
    /// Context: softirq, RCU read side.
    fn receive_all(&self, frames: &mut [Option<Frame<'_>>]) {
        for frame in frames.iter_mut().flatten() {
            frame.outcome = self.receive(frame);
        }
    }
}

/// Frames that are handed on together: so many at most does a receiver hold its lock for.
const BATCH: usize = 16;

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: usize = bindings::ETH_HLEN as usize;

/// A received frame, without its Ethernet header.
///
/// # Invariants
///
/// `skb`, as long as it is there, is valid for `'a` and has `len` bytes; our reference to it is this
/// object's. `'a` is spent in a softirq.
pub(crate) struct Frame<'a> {
    /// `None`: its buffer was given away.
    skb: Option<NonNull<bindings::sk_buff>>,
    len: usize,
    /// The addresses of its Ethernet header.
    destination: Mac,
    source: Mac,
    /// What became of it.
    pub(crate) outcome: Result<(), Reason>,
    _call: PhantomData<&'a bindings::sk_buff>,
}

impl<'a> Frame<'a> {
    /// There are frames only while their packet handler runs, which is in softirq.
    #[inline]
    pub(crate) fn softirq(&self) -> Inside<'a> {
        // SAFETY: As just said; `'a` is within the handler's call.
        unsafe { Inside::new() }
    }

    /// Bytes that the whole frame has on the wire, without the checksum.
    #[inline]
    pub(crate) fn wire_len(&self) -> usize {
        self.len() + ETHERNET_HEADER
    }

    /// Bytes behind the Ethernet header, padding included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies `to.len()` bytes that begin at `offset`; false if there are not so many, or the buffer
    /// was given away.
    ///
    /// A sender on this machine may still write to them: whoever decides something about bytes
    /// decides it about the copy.
    #[inline]
    pub(crate) fn copy(&self, offset: usize, to: &mut [u8]) -> bool {
        let (Some(skb), Ok(offset), Ok(length)) =
            (self.skb, c_int::try_from(offset), c_int::try_from(to.len()))
        else {
            return false;
        };
        // SAFETY: Valid by the type invariant. C checks the range against the length, with sums
        // that cannot overflow: both fit an int and are not negative.
        let error =
            unsafe { bindings::skb_copy_bits(skb.as_ptr(), offset, to.as_mut_ptr().cast(), length) };
        error == 0
    }

    /// Gives the buffer away, once all that is wanted of its bytes was copied.
    #[inline]
    pub(crate) fn give_away(&mut self) -> Option<Spare> {
        let skb = self.skb.take()?;
        // SAFETY: By the type invariant the reference was ours; it is not used here any more.
        Some(unsafe { Spare::new(skb) })
    }

    /// Who sent it.
    #[inline]
    pub(crate) fn source(&self) -> Mac {
        self.source
    }

    /// Whether it was sent to a group.
    #[inline]
    pub(crate) fn is_group(&self) -> bool {
        self.destination[0] & 1 != 0
    }
}

impl core::ops::Drop for Frame<'_> {
    /// Frees what was not given away: as used, or as dropped for a reason.
    #[inline]
    fn drop(&mut self) {
        if let Some(skb) = self.skb {
            // SAFETY: By the type invariant the reference is ours, and this a softirq.
            unsafe { free(skb, self.outcome) };
        }
    }
}

/// A packet handler in its place; dropping it takes it away.
///
/// # Invariants
///
/// `handler` is registered, and the first member.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub(crate) struct Hook<R: Receive> {
    #[pin]
    handler: Opaque<bindings::packet_type>,
    device: Device,
    /// As long as any device's address: `addr_len` is the device's affair.
    group: [u8; bindings::MAX_ADDR_LEN as usize],
    receiver: R,
}

// SAFETY: The handler belongs to C; all else may be sent and shared.
unsafe impl<R: Receive> Send for Hook<R> {}
// SAFETY: As above.
unsafe impl<R: Receive> Sync for Hook<R> {}

impl<R: Receive> Hook<R> {
    /// Has `receiver` called for frames with this EtherType that arrive at `device`, sent to it,
    /// to all or to `group`, which the device is asked to listen to.
    ///
    /// ENODEV if the device is on its way out, EINVAL if it does not carry Ethernet frames.
    /// Context: process, may sleep.
    pub(crate) fn attach(
        _rtnl: &Rtnl,
        device: Device,
        ethertype: u16,
        group: Mac,
        receiver: R,
    ) -> Result<Pin<KBox<Self>>> {
        if !device.is_registered() {
            return Err(ENODEV);
        }
        if !device.is_ethernet() {
            return Err(EINVAL);
        }
        let dev = device.as_ptr();
        let mut address = [0; bindings::MAX_ADDR_LEN as usize];
        for (place, byte) in address.iter_mut().zip(group) {
            *place = byte;
        }
        let group = address;
        // SAFETY: The device is valid, and no address is longer.
        to_result(unsafe { bindings::dev_mc_add(dev, group.as_ptr()) })?;
        let hook = KBox::try_pin_init(
            try_pin_init!(Self {
                handler: Opaque::new(bindings::packet_type {
                    type_: ethertype.to_be(),
                    dev,
                    func: Some(Self::one),
                    list_func: Some(Self::many),
                    ..Default::default()
                }),
                device,
                group,
                receiver,
            }? Error),
            GFP_KERNEL,
        );
        match hook {
            Ok(hook) => {
                // From here on frames come.
                // SAFETY: Pinned, filled in, and taken away before it is freed. RTNL and
                // `is_registered` keep the device's list of handlers.
                // INVARIANT: Registered now.
                unsafe { bindings::dev_add_pack(hook.handler.get()) };
                Ok(hook)
            }
            Err(error) => {
                // SAFETY: As for `dev_mc_add`; RTNL keeps the device registered, hence valid.
                unsafe { bindings::dev_mc_del(dev, group.as_ptr()) };
                Err(error)
            }
        }
    }

    /// Context: softirq, RCU read side.
    unsafe extern "C" fn one(
        skb: *mut bindings::sk_buff,
        _dev: *mut bindings::net_device,
        handler: *mut bindings::packet_type,
        _from: *mut bindings::net_device,
    ) -> c_int {
        // SAFETY: `handler` is the first member of a `Self`, which lives until C has let go of it.
        let this = unsafe { &*handler.cast::<Self>() };
        if let Some(skb) = NonNull::new(skb) {
            // SAFETY: C gives us this buffer, in a softirq.
            unsafe { this.dispatch(&[Some(skb)], &mut [const { None }]) };
        }
        bindings::NET_RX_SUCCESS as c_int
    }

    /// Context: softirq, RCU read side.
    unsafe extern "C" fn many(
        list: *mut bindings::list_head,
        handler: *mut bindings::packet_type,
        _from: *mut bindings::net_device,
    ) {
        // SAFETY: As in `one`.
        let this = unsafe { &*handler.cast::<Self>() };
        loop {
            // SAFETY: C gives us a list of buffers, which are ours from here on.
            let batch: [_; BATCH] =
                core::array::from_fn(|_| NonNull::new(unsafe { bindings::skb_list_pop(list) }));
            // SAFETY: Taken off the list just now, in a softirq.
            unsafe { this.dispatch(&batch, &mut [const { None }; BATCH]) };
            if matches!(batch, [.., None]) {
                break;
            }
        }
    }

    /// Has `receiver` look at frames, and frees them. `frames` is room for as many, without any.
    ///
    /// # Safety
    ///
    /// `skbs` must be valid buffers that the caller gives up, in a softirq.
    #[inline]
    unsafe fn dispatch(
        &self,
        skbs: &[Option<NonNull<bindings::sk_buff>>],
        frames: &mut [Option<Frame<'_>>],
    ) {
        for (skb, place) in skbs.iter().flatten().zip(&mut *frames) {
            // SAFETY: The caller promises a valid buffer.
            match unsafe { self.frame(*skb) } {
                Ok(frame) => *place = Some(frame),
                // SAFETY: The buffer is still ours, and the caller in a softirq.
                Err(reason) => unsafe { free(*skb, Err(reason)) },
            }
        }
        self.receiver.receive_all(frames);
        frames.fill_with(|| None);
    }

    /// Looks at what surrounds the frame.
    ///
    /// # Safety
    ///
    /// `skb` must be valid for `'a`. If there is a frame, the caller has given it up.
    #[inline]
    unsafe fn frame<'a>(&self, skb: NonNull<bindings::sk_buff>) -> Result<Frame<'a>, Reason> {
        // SAFETY: The caller promises a valid buffer.
        let (device, kind, header) = unsafe {
            (
                bindings::skb_device(skb.as_ptr()),
                u32::from(bindings::skb_pkt_type(skb.as_ptr())),
                bindings::skb_eth_hdr(skb.as_ptr()),
            )
        };
        // Belongs to a device on top of ours (a VLAN, a bond) and is offered to that, too.
        if device != self.device.as_ptr() {
            return Err(Reason::OtherHost);
        }
        if !matches!(
            kind,
            bindings::PACKET_HOST | bindings::PACKET_BROADCAST | bindings::PACKET_MULTICAST
        ) {
            return Err(Reason::OtherHost);
        }
        // A frame that was made up on this machine need not have a header at all.
        let Some(header) = NonNull::new(header.cast_mut()) else {
            return Err(Reason::Truncated);
        };
        // SAFETY: `skb_eth_hdr` gives only whole headers; a byte array has no alignment. Its bytes are
        // read here once.
        let header = unsafe { header.cast::<[u8; ETHERNET_HEADER]>().as_ptr().read_volatile() };
        let [destination, source] = addresses(&header);
        // INVARIANT: The caller gives the buffer up, and its length was asked for just now.
        Ok(Frame {
            skb: Some(skb),
            // SAFETY: The caller promises a valid buffer.
            len: unsafe { (*skb.as_ptr()).len as usize },
            destination,
            source,
            outcome: Ok(()),
            _call: PhantomData,
        })
    }
}

/// Whom a frame is for, and who sent it.
#[inline]
fn addresses(header: &[u8; ETHERNET_HEADER]) -> [Mac; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *header;
    [[a, b, c, d, e, f], [g, h, i, j, k, l]]
}

/// Frees a buffer: as used, or as dropped for a reason.
///
/// # Safety
///
/// `skb` must be a valid buffer that the caller gives up, in a softirq.
#[inline]
unsafe fn free(skb: NonNull<bindings::sk_buff>, outcome: Result<(), Reason>) {
    match outcome {
        // SAFETY: The caller promises a valid buffer, and a softirq: so it may go to the processor's
        // own buffers, of which the next one is made.
        Ok(()) => unsafe { bindings::napi_consume_skb(skb.as_ptr(), 1) },
        // SAFETY: As above.
        Err(reason) => unsafe {
            bindings::sk_skb_reason_drop(core::ptr::null(), skb.as_ptr(), reason as u32)
        },
    }
}

#[pinned_drop]
impl<R: Receive> PinnedDrop for Hook<R> {
    /// Context: process, may sleep (waits for calls in progress).
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered. The device is valid by its reference.
        unsafe {
            bindings::dev_remove_pack(self.handler.get());
            bindings::dev_mc_del(self.device.as_ptr(), self.group.as_ptr());
        }
    }
}

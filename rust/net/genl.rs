// SPDX-License-Identifier: GPL-2.0

//! Operations of a generic netlink family. The kernel crate has multicast only.
//!
//! An operation is a type: an [`Action`] changes something, a [`Query`] answers with one message,
//! a [`List`] dumps any number of them. Its attributes are checked by the core against its policy
//! before it is called; what it reads is typed and checked for length once more.

use super::net::Net;
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    }, //
};
use feed_bindings as bindings;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::atomic::{
        ordering,
        Atomic, //
    },
    types::Opaque, //
};

/// What an attribute of a request may be.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Policy(bindings::nla_policy);

// SAFETY: Never written; the policies made here hold no pointers.
unsafe impl Sync for Policy {}

impl Policy {
    /// Not allowed.
    pub(crate) const NONE: Self = Self::plain(bindings::NLA_UNSPEC);
    /// A `u32`.
    pub(crate) const U32: Self = Self::plain(bindings::NLA_U32);
    /// An integer of 4 or 8 bytes.
    pub(crate) const UINT: Self = Self::plain(bindings::NLA_UINT);

    const fn plain(kind: c_uint) -> Self {
        Self(bindings::nla_policy {
            type_: kind as u8,
            validation_type: 0,
            len: 0,
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1 {
                nested_policy: ptr::null(),
            },
        })
    }

    const fn range(kind: c_uint, check: c_uint, min: i16, max: i16) -> Self {
        Self(bindings::nla_policy {
            type_: kind as u8,
            validation_type: check as u8,
            len: 0,
            __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1 {
                __bindgen_anon_1: bindings::nla_policy__bindgen_ty_1__bindgen_ty_1 { min, max },
            },
        })
    }

    /// A `u32` of at least `min`.
    pub(crate) const fn u32_min(min: i16) -> Self {
        Self::range(
            bindings::NLA_U32,
            bindings::nla_policy_validation_NLA_VALIDATE_MIN,
            min,
            0,
        )
    }

    /// A `u32` of at most `max`.
    pub(crate) const fn u32_max(max: i16) -> Self {
        Self::range(
            bindings::NLA_U32,
            bindings::nla_policy_validation_NLA_VALIDATE_MAX,
            0,
            max,
        )
    }

    /// So many bytes.
    pub(crate) const fn bytes(len: i16) -> Self {
        Self::range(
            bindings::NLA_BINARY,
            bindings::nla_policy_validation_NLA_VALIDATE_RANGE,
            len,
            len,
        )
    }

    /// A string of at most `max` bytes, without its null byte.
    pub(crate) const fn text(max: u16) -> Self {
        let mut policy = Self::plain(bindings::NLA_NUL_STRING);
        policy.0.len = max;
        policy
    }
}

/// An operation that changes something. The caller needs CAP_NET_ADMIN in the namespace.
pub(crate) trait Action: 'static {
    /// Its number.
    const COMMAND: u32;
    /// By attribute number; shorter than the attribute set if the rest is not allowed.
    const POLICY: &'static [Policy];

    /// Context: process, may sleep; one operation of the family at a time.
    fn act(request: &Request<'_>) -> Result;
}

/// An operation that answers with one message.
pub(crate) trait Query: 'static {
    /// Its number.
    const COMMAND: u32;
    /// As for [`Action`].
    const POLICY: &'static [Policy];

    /// Fills in the answer. Context: as for [`Action`].
    fn answer(request: &Request<'_>, answer: &mut Message<'_>) -> Result;
}

/// An operation that dumps a list.
pub(crate) trait List: 'static {
    /// Its number.
    const COMMAND: u32;

    /// Fills in the message for the first thing at or behind place `at`; says where to go on, or
    /// `None` if there was nothing any more. May be called again for the same place.
    ///
    /// Context: as for [`Action`].
    fn next(net: Net<'_>, at: u64, message: &mut Message<'_>) -> Result<Option<u64>>;
}

/// An operation in the table of its family.
#[repr(transparent)]
pub(crate) struct Operation(bindings::genl_split_ops);

// SAFETY: Never written, and what it points to is static.
unsafe impl Sync for Operation {}

impl Operation {
    const fn describe(
        command: u32,
        flags: u32,
        policy: &'static [Policy],
    ) -> bindings::genl_split_ops {
        assert!(command <= u8::MAX as u32);
        bindings::genl_split_ops {
            __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                    pre_doit: None,
                    doit: None,
                    post_doit: None,
                },
            },
            // Without attributes the core must see no policy at all.
            policy: if policy.is_empty() {
                ptr::null()
            } else {
                policy.as_ptr().cast()
            },
            maxattr: policy.len().saturating_sub(1) as c_uint,
            cmd: command as u8,
            internal_flags: 0,
            flags: flags as u8,
            validate: 0,
        }
    }

    const fn with_do(
        mut operation: bindings::genl_split_ops,
        doit: unsafe extern "C" fn(*mut bindings::sk_buff, *mut bindings::genl_info) -> c_int,
    ) -> Self {
        operation.__bindgen_anon_1.__bindgen_anon_1 =
            bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                pre_doit: None,
                doit: Some(doit),
                post_doit: None,
            };
        Self(operation)
    }

    /// The entry of an [`Action`].
    pub(crate) const fn action<A: Action>() -> Self {
        let flags = bindings::GENL_CMD_CAP_DO | bindings::GENL_UNS_ADMIN_PERM;
        Self::with_do(Self::describe(A::COMMAND, flags, A::POLICY), act::<A>)
    }

    /// The entry of a [`Query`].
    pub(crate) const fn query<Q: Query>() -> Self {
        let flags = bindings::GENL_CMD_CAP_DO;
        Self::with_do(Self::describe(Q::COMMAND, flags, Q::POLICY), query::<Q>)
    }

    /// The entry of a [`List`].
    pub(crate) const fn list<L: List>() -> Self {
        let mut operation = Self::describe(L::COMMAND, bindings::GENL_CMD_CAP_DUMP, &[]);
        operation.__bindgen_anon_1.__bindgen_anon_2 =
            bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
                start: None,
                dumpit: Some(dump::<L>),
                done: None,
            };
        Self(operation)
    }
}

/// A family, in a static of its own.
pub(crate) struct Family {
    family: Opaque<bindings::genl_family>,
    taken: Atomic<bool>,
    name: &'static CStr,
    version: u32,
    operations: &'static [Operation],
}

// SAFETY: `family` is written only while `taken` was set by the writer and C does not know it.
unsafe impl Sync for Family {}

impl Family {
    /// Describes a family.
    pub(crate) const fn new(
        name: &'static CStr,
        version: u32,
        operations: &'static [Operation],
    ) -> Self {
        assert!(name.to_bytes_with_nul().len() <= bindings::GENL_NAMSIZ as usize);
        assert!(operations.len() <= u8::MAX as usize);
        Self {
            family: Opaque::uninit(),
            taken: Atomic::new(false),
            name,
            version,
            operations,
        }
    }

    /// Offers the family in all namespaces. Context: process, may sleep.
    pub(crate) fn register(&'static self) -> Result<Registration> {
        if self.taken.xchg(true, ordering::Full) {
            return Err(EBUSY);
        }
        let mut family = bindings::genl_family {
            version: self.version,
            split_ops: self.operations.as_ptr().cast(),
            n_split_ops: self.operations.len() as u8,
            // SAFETY: No requirements.
            module: unsafe { bindings::this_module() },
            ..Default::default()
        };
        for (to, from) in family.name.iter_mut().zip(self.name.to_bytes()) {
            *to = *from;
        }
        family.set_netnsok(1);
        // Nodes and stores have locks of their own: nobody waits for another family's work.
        family.set_parallel_ops(1);
        // SAFETY: `taken` was not set before, so C does not know the family.
        unsafe { self.family.get().write(family) };
        // SAFETY: The family and all that it points to are static.
        if let Err(error) = to_result(unsafe { bindings::genl_register_family(self.family.get()) })
        {
            self.taken.store(false, ordering::Release);
            return Err(error);
        }
        Ok(Registration(self))
    }
}

/// A registered family; dropping it takes it back when the last operation has ended.
pub(crate) struct Registration(&'static Family);

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: Registered by `register`, and only once.
        unsafe { bindings::genl_unregister_family(self.0.family.get()) };
        self.0.taken.store(false, ordering::Release);
    }
}

/// A request of somebody's.
///
/// # Invariants
///
/// `info` is valid for `'a`, and its table of attributes has `attributes` entries.
pub(crate) struct Request<'a> {
    info: NonNull<bindings::genl_info>,
    attributes: usize,
    _call: PhantomData<&'a bindings::genl_info>,
}

impl<'a> Request<'a> {
    /// The namespace that it is about.
    pub(crate) fn net(&self) -> Net<'a> {
        // SAFETY: Valid by the type invariant; the netlink socket keeps its namespace.
        unsafe { Net::from_raw(bindings::genl_info_net(self.info.as_ptr())) }
    }

    fn attribute(&self, number: u32) -> Option<&'a [u8]> {
        if number as usize >= self.attributes {
            return None;
        }
        // SAFETY: By the type invariant the table has such an entry, null or a valid attribute.
        unsafe {
            let attribute = *(*self.info.as_ptr()).attrs.add(number as usize);
            if attribute.is_null() {
                return None;
            }
            Some(core::slice::from_raw_parts(
                bindings::nla_data(attribute).cast::<u8>(),
                bindings::nla_len(attribute) as usize,
            ))
        }
    }

    /// A `u32`, if it is there.
    pub(crate) fn u32(&self, number: u32) -> Option<u32> {
        self.bytes(number).map(u32::from_ne_bytes)
    }

    /// An integer of 4 or 8 bytes, if it is there.
    pub(crate) fn uint(&self, number: u32) -> Option<u64> {
        self.u32(number)
            .map(u64::from)
            .or_else(|| self.bytes(number).map(u64::from_ne_bytes))
    }

    /// So many bytes, if they are there.
    pub(crate) fn bytes<const N: usize>(&self, number: u32) -> Option<[u8; N]> {
        self.attribute(number)?.try_into().ok()
    }

    /// A string, if it is there.
    pub(crate) fn text(&self, number: u32) -> Option<&'a CStr> {
        CStr::from_bytes_until_nul(self.attribute(number)?).ok()
    }

    /// Tells the asker in words why `error` is the answer.
    pub(crate) fn refuse(&self, error: Error, why: &'static CStr) -> Error {
        // SAFETY: Valid by the type invariant; null if the asker does not want to be told.
        unsafe {
            if let Some(ack) = (*self.info.as_ptr()).extack.as_mut() {
                ack._msg = why.as_char_ptr();
            }
        }
        error
    }

    /// As [`Self::refuse`], and says by which attribute.
    pub(crate) fn refuse_attribute(&self, number: u32, error: Error, why: &'static CStr) -> Error {
        if (number as usize) < self.attributes {
            // SAFETY: As in `attribute` and `refuse`.
            unsafe {
                let attribute = *(*self.info.as_ptr()).attrs.add(number as usize);
                if let Some(ack) = (*self.info.as_ptr()).extack.as_mut() {
                    ack.bad_attr = attribute;
                }
            }
        }
        self.refuse(error, why)
    }
}

/// A message in the making. Each `put` fails with EMSGSIZE if there is no room.
///
/// # Invariants
///
/// `skb` is valid for `'a`.
pub(crate) struct Message<'a> {
    skb: NonNull<bindings::sk_buff>,
    _call: PhantomData<&'a mut bindings::sk_buff>,
}

impl Message<'_> {
    /// Appends an attribute of any bytes.
    pub(crate) fn put_bytes(&mut self, number: u32, bytes: &[u8]) -> Result {
        // The length of an attribute is a u16 and counts its header.
        if bytes.len() > usize::from(u16::MAX) - size_of::<bindings::nlattr>() {
            return Err(EMSGSIZE);
        }
        // SAFETY: Valid by the type invariant; `bytes` has the length that is said.
        to_result(unsafe {
            bindings::nla_put(
                self.skb.as_ptr(),
                number as c_int,
                bytes.len() as c_int,
                bytes.as_ptr().cast(),
            )
        })
    }

    /// Appends a `u16`.
    pub(crate) fn put_u16(&mut self, number: u32, value: u16) -> Result {
        self.put_bytes(number, &value.to_ne_bytes())
    }

    /// Appends a `u32`.
    pub(crate) fn put_u32(&mut self, number: u32, value: u32) -> Result {
        self.put_bytes(number, &value.to_ne_bytes())
    }

    /// Appends an integer in as few bytes as it needs, 4 or 8.
    pub(crate) fn put_uint(&mut self, number: u32, value: u64) -> Result {
        match u32::try_from(value) {
            Ok(value) => self.put_u32(number, value),
            Err(_) => self.put_bytes(number, &value.to_ne_bytes()),
        }
    }

    /// Appends a string, which ends where `text` does or at its first null byte.
    pub(crate) fn put_text(&mut self, number: u32, text: &[u8]) -> Result {
        let mut buffer = [0u8; TEXT_MAX + 1];
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let with_null = buffer.get_mut(..text.len() + 1).ok_or(EMSGSIZE)?;
        if let Some(place) = with_null.get_mut(..text.len()) {
            place.copy_from_slice(text);
        }
        self.put_bytes(number, with_null)
    }
}

/// Longest string that is ever sent: names of devices and counters.
const TEXT_MAX: usize = 63;

/// Makes the evidence for a call by C.
///
/// # Safety
///
/// `info` must be valid for the length of the call, and its table of attributes must have
/// `attributes` entries.
unsafe fn request<'a>(info: *mut bindings::genl_info, attributes: usize) -> Request<'a> {
    Request {
        // SAFETY: The caller promises a valid pointer.
        info: unsafe { NonNull::new_unchecked(info) },
        attributes,
        _call: PhantomData,
    }
}

/// Context: process.
unsafe extern "C" fn act<A: Action>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    from_result(|| {
        // SAFETY: C has parsed as many attributes as the policy has.
        A::act(&unsafe { request(info, A::POLICY.len()) })?;
        Ok(0)
    })
}

/// Context: process.
unsafe extern "C" fn query<Q: Query>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    from_result(|| {
        // SAFETY: C has parsed as many attributes as the policy has.
        let request = unsafe { request(info, Q::POLICY.len()) };
        // SAFETY: No requirements.
        let skb = unsafe { bindings::genlmsg_new(ANSWER_BYTES, bindings::GFP_KERNEL) };
        let skb = NonNull::new(skb).ok_or(ENOMEM)?;
        // SAFETY: The buffer is new and ours; `info` is valid for the call.
        let header = unsafe {
            bindings::genlmsg_put(
                skb.as_ptr(),
                (*info).snd_portid,
                (*info).snd_seq,
                (*info).family,
                0,
                Q::COMMAND as u8,
            )
        };
        let mut message = Message {
            skb,
            _call: PhantomData,
        };
        let outcome = if header.is_null() {
            Err(EMSGSIZE)
        } else {
            Q::answer(&request, &mut message)
        };
        if let Err(error) = outcome {
            // SAFETY: Ours, and not sent.
            unsafe { bindings::consume_skb(skb.as_ptr()) };
            return Err(error);
        }
        // SAFETY: The message is complete, and given up here.
        to_result(unsafe {
            bindings::genlmsg_end(skb.as_ptr(), header);
            bindings::genlmsg_reply(skb.as_ptr(), info)
        })?;
        Ok(0)
    })
}

/// Room for the attributes of one answer.
const ANSWER_BYTES: usize = 1_024;

/// Context: process.
unsafe extern "C" fn dump<L: List>(
    skb: *mut bindings::sk_buff,
    callback: *mut bindings::netlink_callback,
) -> c_int {
    from_result(|| {
        // SAFETY: C passes a valid callback of a dump of this family; its `ctx` is 48 bytes that
        // are zero at first and otherwise ours.
        let (info, place) = unsafe {
            let info = &raw mut (*(*callback).data.cast::<bindings::genl_dumpit_info>()).info;
            let place = (&raw mut (*callback).__bindgen_anon_1).cast::<u64>();
            (info, place)
        };
        // SAFETY: A dump has no attributes.
        let net = unsafe { request(info, 0) }.net();
        let mut message = Message {
            // SAFETY: C passes a valid buffer.
            skb: unsafe { NonNull::new_unchecked(skb) },
            _call: PhantomData,
        };
        let mut some = false;
        loop {
            // SAFETY: The buffer, `info` and the callback are valid for the call.
            let header = unsafe {
                bindings::genlmsg_put(
                    skb,
                    (*info).snd_portid,
                    (*info).snd_seq,
                    (*info).family,
                    bindings::NLM_F_MULTI as c_int,
                    L::COMMAND as u8,
                )
            };
            let outcome = if header.is_null() {
                Err(EMSGSIZE)
            } else {
                // SAFETY: As above.
                L::next(net, unsafe { place.read() }, &mut message)
            };
            match outcome {
                Ok(Some(next)) => {
                    // SAFETY: As above; the message is complete.
                    unsafe {
                        bindings::genlmsg_end(skb, header);
                        place.write(next);
                    }
                    some = true;
                }
                other => {
                    if !header.is_null() {
                        // SAFETY: As above; the unfinished message is taken back.
                        unsafe { bindings::genlmsg_cancel(skb, header) };
                    }
                    return match other {
                        // The buffer is full: C calls again with a new one. That even one message
                        // does not fit an empty buffer is an error.
                        Err(error) if error == EMSGSIZE && some => {
                            // SAFETY: Valid for the call.
                            Ok(unsafe { (*skb).len } as c_int)
                        }
                        Err(error) => Err(error),
                        // C calls until nothing is added.
                        // SAFETY: Valid for the call.
                        Ok(_) => Ok(unsafe { (*skb).len } as c_int),
                    };
                }
            }
        }
    })
}

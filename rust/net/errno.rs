// SPDX-License-Identifier: GPL-2.0

//! Error codes of sockets and keys, which kernel crates before 7.3 lack.
//!
//! Named one by one where they are used: so these win over the prelude's, and the same source
//! compiles whether the prelude has them or not.

use kernel::{
    bindings,
    error::Error,
    prelude::EINVAL, //
};

/// An error by its number.
const fn code(number: u32) -> Error {
    // SAFETY: An `Error` is one `NonZeroI32` between -4095 and -1, by its invariant, of the same
    // size; the assertion below shows that nothing is done to the value. The numbers are C's.
    unsafe { core::mem::transmute::<i32, Error>(-(number as i32)) }
}

const _: () = {
    // SAFETY: Any four bytes may be read as an integer.
    let number = unsafe { core::mem::transmute::<Error, i32>(EINVAL) };
    assert!(number == -(bindings::EINVAL as i32));
};

macro_rules! codes {
    ($($name:ident,)*) => {
        $(
            #[doc = concat!("C's ", stringify!($name), ".")]
            #[allow(dead_code, reason = "which of them a kernel crate lacks differs")]
            pub(crate) const $name: Error = code(bindings::$name);
        )*
    };
}

codes! {
    EADDRINUSE,
    EAFNOSUPPORT,
    EALREADY,
    EBADMSG,
    EDQUOT,
    EINPROGRESS,
    EISCONN,
    EKEYREJECTED,
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS,
    ENODATA,
    ENOKEY,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    ESTALE,
}

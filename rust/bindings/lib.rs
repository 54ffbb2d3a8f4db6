// SPDX-License-Identifier: GPL-2.0

//! The kernel's C interface that AF_FEED needs, as bindgen sees it.
//!
//! Only the abstractions (`rust/net`, `rust/mm`, `rust/sync`, `rust/simd`) may use this crate. Its
//! types are distinct from those of the kernel crate's own bindings even where the C type is the
//! same: pointers are exchanged between the two in one place only.

#![no_std]
#![feature(cfi_encoding)]
#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

mod raw {
    use pin_init::{MaybeZeroable, Zeroable};

    // bindgen would map these to int or long by the platform's width.
    type __kernel_size_t = usize;
    type __kernel_ssize_t = isize;
    type __kernel_ptrdiff_t = isize;

    // SAFETY: the unit is a newtype around its storage.
    unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

    include!(env!("FEED_BINDINGS"));
}

pub use raw::*;

// Sizes and offsets by the kernel's own compiler, from layout.c.
include!(env!("FEED_LAYOUT"));

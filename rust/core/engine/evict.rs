// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Which segment of the store makes room.

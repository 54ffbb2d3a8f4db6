// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Signature work: who is served next, and how much of it a node does.

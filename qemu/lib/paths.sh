# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Where things lie. Sourced by setup, in-root and everything that needs the
# cache; the only file that decides a path.

# The checkout, with symbolic links resolved: bind mounts need the real path.
FEED_CHECKOUT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)

# One variable moves everything that is downloaded or built once.
FEED_CACHE=${AF_FEED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/af_feed}

# The Debian root, its identity, and the name by which programs print it.
FEED_ROOT=$FEED_CACHE/root

# Facts about each resolved kernel: one directory per release.
FEED_KERNELS=$FEED_CACHE/kernels

# cargo's home is shared with the host, so that its configuration (a mirror,
# a proxy) also holds inside the root.
FEED_CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}

# Objects that cargo makes inside the root. Keyed by the checkout, and apart
# from target/, so that host and root compilers never fight over one file.
FEED_ROOT_TARGET=$FEED_CACHE/target/$(printf '%s' "$FEED_CHECKOUT" | sha256sum | cut -c1-12)

export FEED_CHECKOUT FEED_CACHE FEED_ROOT FEED_KERNELS FEED_CARGO_HOME FEED_ROOT_TARGET

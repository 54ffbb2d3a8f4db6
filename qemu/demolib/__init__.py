# SPDX-License-Identifier: GPL-2.0
"""The demo: a feed crosses the network, the author goes dark, the network still answers."""


class Failed(Exception):
    """A check of the demo did not hold."""

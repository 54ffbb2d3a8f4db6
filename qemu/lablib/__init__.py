# SPDX-License-Identifier: GPL-2.0
"""The lab: virtual machines, the links between them, and commands inside.

    cli       what a person types            client   talks to a lab's daemon
    topology  the file that describes a lab  daemon   owns machines and links
    image     what machines boot from        machine  one QEMU or UML process
    agent     the channel into a machine     link     one Ethernet cable
    splat     reads consoles for kernel bugs paths    where things lie
"""


class LabError(Exception):
    """Said to the person as it stands; no traceback."""

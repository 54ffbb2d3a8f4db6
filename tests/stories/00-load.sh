#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module comes and goes; its parameters can be read; a family number that
# is taken or does not exist is refused by name.
. "$(dirname -- "$0")/../lib.sh"

load
check "the family's number can be read" grep -qx 18 /sys/module/feed/parameters/family
check "sockets of the family can be made" python3 -c 'import socket; socket.socket(18, socket.SOCK_SEQPACKET).close()'
check "rmmod works" rmmod feed
check "every object that was made has gone" leaks
check "the family is gone with it" python3 -c '
import errno, socket
try:
    socket.socket(18, socket.SOCK_SEQPACKET)
except OSError as e:
    raise SystemExit(e.errno != errno.EAFNOSUPPORT)
raise SystemExit(1)'

# AF_UNIX is there in every kernel. (7.3 shows a module's EEXIST as EBUSY, and
# says so in the log: EEXIST means "loaded already" to those who load modules.)
check "a taken number is refused" bash -c '! insmod /lib/feed/feed.ko family=1'
check "and the log says what is wrong" grep -qE 'feed: .*family 1 ' <(logged)
check "nothing of it stayed" test ! -d /sys/module/feed
check "a number over AF_MAX is refused" bash -c '! insmod /lib/feed/feed.ko family=1000'
load family=19
check "another number can be had" python3 -c 'import socket; socket.socket(19, socket.SOCK_SEQPACKET).close()'

story_end

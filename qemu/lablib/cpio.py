# SPDX-License-Identifier: GPL-2.0
"""Writes cpio archives (newc), the only form an initramfs takes."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


class CpioWriter:
    def __init__(self, out: BinaryIO):
        self._out = out
        self._inode = 0
        self._dirs: set[str] = set()

    def directory(self, name: str) -> None:
        """Make a directory and those above it, once."""
        name = name.strip("/")
        if not name or name in self._dirs:
            return
        self.directory(os.path.dirname(name))
        self._dirs.add(name)
        self._record(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.directory(os.path.dirname(name.strip("/")))
        self._record(name.strip("/"), stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        self.directory(os.path.dirname(name.strip("/")))
        self._record(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def tree(self, source: Path, rename=lambda name: name) -> int:
        """Add everything below `source`; the number of files is returned."""
        count = 0
        for directory, dirs, files in os.walk(source):
            base = Path(directory)
            for name in sorted(dirs + files):
                path = base / name
                inside = rename(str(path.relative_to(source)))
                if path.is_symlink():
                    self.symlink(inside, os.readlink(path))
                elif path.is_dir():
                    self.directory(inside)
                    continue
                else:
                    self.file(inside, path.read_bytes(), path.stat().st_mode & 0o777)
                count += 1
        return count

    def close(self) -> None:
        self._record("TRAILER!!!", 0, b"")

    def _record(self, name: str, mode: int, data: bytes) -> None:
        # Everything belongs to root, and no time is kept: the same content
        # always gives the same archive.
        self._inode += 1
        encoded = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._out.write(header + encoded)
        self._out.write(b"\0" * (-(len(header) + len(encoded)) % 4))
        self._out.write(data)
        self._out.write(b"\0" * (-len(data) % 4))

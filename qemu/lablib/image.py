# SPDX-License-Identifier: GPL-2.0
"""What machines boot from.

Three parts, by how often they change: the base image (packages and kernel
modules, read-only, shared by all machines), PID 1, and the initramfs, which
carries PID 1, the modules that lead to the base image, and the stage: the
project's own build products, packed anew for every lab.
"""

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from . import LabError
from .cpio import CpioWriter
from .paths import QEMU_DIR, Kernel, paths

# Raised when the layout of the base image changes.
BASE_FORMAT = "1"

# Drivers that lead to the base image and to the links.
EARLY_MODULES = ("virtio_blk", "virtio_net", "overlay")

# Nothing reads these in a machine.
LEFT_OUT = re.compile(
    r"/usr/share/(doc|man|info|locale|lintian|bug|bash-completion|zoneinfo|perl)(/|$)"
    r"|/var/(cache|lib/(dpkg|apt))(/|$)|/usr/lib/x86_64-linux-gnu/perl-base(/|$)")

# Directories that Debian merged into /usr. A stage may use either spelling,
# but in an overlay a directory /lib would hide the link of that name.
MERGED = re.compile(r"(bin|sbin|lib|lib64)(?=/|$)")

MODPROBE_CONF = "".join(
    line + "\n" for line in (
        "# The module under test lies outside the kernel's own tree, so that",
        "# staging it does not mean running depmod.",
        "install {0} /sbin/insmod /lib/{0}/{0}.ko $CMDLINE_OPTS"))


# Files made for versions that have gone are dropped when unused for so long.
KEPT_SECONDS = 7 * 24 * 3600


def drop_old() -> None:
    for path in paths().lab_cache.iterdir():
        if path.is_file() and path.stat().st_mtime < time.time() - KEPT_SECONDS:
            path.unlink(missing_ok=True)


def cached(target: Path) -> bool:
    """True, and noted as used, when the file is there."""
    try:
        os.utime(target)
    except FileNotFoundError:
        return False
    except PermissionError:
        pass  # A cache that belongs to somebody else serves as well.
    return True


@contextmanager
def made_once(target: Path):
    """Yield a temporary path to fill when `target` is missing, else None.
    Several labs may start at once; an interrupted try leaves nothing."""
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            made = Path(scratch) / "made"
            yield made
            os.replace(made, target)


def digest(*parts: bytes | str) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else part.encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


# --- the base image -------------------------------------------------------

@cache
def dpkg_status(root: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Installed packages of the root, and who provides which virtual name."""
    status = root / "var" / "lib" / "dpkg" / "status"
    if not status.exists():
        raise LabError(f"no Debian root at {root}; run: qemu/setup root")
    installed, provides = {}, {}
    for paragraph in status.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.M))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        installed[fields["Package"]] = fields
        for name in re.findall(r"[a-z0-9][a-z0-9+.-]+(?=[ ,(]|$)", fields.get("Provides", "")):
            provides.setdefault(name, fields["Package"])
    return installed, provides


def package_closure(root: Path, wanted: list[str]) -> dict[str, dict[str, str]]:
    """The wanted packages that the root has, and all they depend on."""
    installed, provides = dpkg_status(root)
    closure: dict[str, dict[str, str]] = {}
    queue = [name for name in wanted if name in installed]
    while queue:
        name = queue.pop()
        if name in closure:
            continue
        fields = closure[name] = installed[name]
        for key in ("Pre-Depends", "Depends"):
            for clause in filter(None, fields.get(key, "").split(",")):
                for choice in clause.split("|"):
                    match = re.match(r"\s*([a-z0-9+.-]+)", choice)
                    found = match and match[1]
                    found = found if found in installed else provides.get(found or "")
                    if found:
                        queue.append(found)
                        break
    return closure


def package_files(root: Path, fields: dict[str, str]) -> list[str]:
    info = root / "var" / "lib" / "dpkg" / "info"
    for name in (fields["Package"], f"{fields['Package']}:{fields['Architecture']}"):
        listing = info / f"{name}.list"
        if listing.exists():
            return listing.read_text().splitlines()
    return []


def link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def fill_base(root: Path, tree: Path, closure: dict[str, dict[str, str]], kernel: Kernel) -> None:
    """Put the files of the packages into `tree`, as hard links where possible."""
    # Directories of the merged /usr first: files are found through the links.
    for link in ("bin", "sbin", "lib", "lib64"):
        (tree / link).symlink_to(f"usr/{link}")
        (tree / "usr" / link).mkdir(parents=True, exist_ok=True)
    for directory in ("dev", "proc", "sys", "run", "tmp", "root", "mnt", "var/tmp", "etc"):
        (tree / directory).mkdir(parents=True, exist_ok=True)
    compiled = set()
    for fields in closure.values():
        for name in package_files(root, fields):
            source, target = root / name[1:], tree / name[1:]
            if LEFT_OUT.search(name) or not os.path.lexists(source):
                continue
            if source.is_dir() and not source.is_symlink():
                target.mkdir(parents=True, exist_ok=True)
            elif not os.path.lexists(target):
                link_or_copy(source, target)
            if name.endswith(".py"):
                compiled.add(os.path.dirname(name[1:]) + "/__pycache__")
    # What maintainer scripts made: byte code, configuration, library cache.
    for directory in compiled | {"etc"}:
        for path in (root / directory).rglob("*"):
            if not path.is_dir() or path.is_symlink():
                target = tree / path.relative_to(root)
                if not os.path.lexists(target):
                    link_or_copy(path, target)
    inside = tree / "usr" / "lib" / "modules" / kernel.release
    for path in kernel.modules.rglob("*"):
        name = path.relative_to(kernel.modules)
        if path.is_file() and name.parts[0] not in ("build", "source", "vmlinuz", "System.map", "config"):
            link_or_copy(path, inside / name)


def base_image(kernel: Kernel) -> Path:
    """The read-only ext4 image for a kernel, made when it is missing."""
    where = paths()
    wanted = [line for line in (QEMU_DIR / "machine-packages.txt").read_text().split("\n")
              if line and not line.startswith("#")]
    closure = package_closure(where.root, wanted)
    versions = sorted(f"{name}={fields['Version']}" for name, fields in closure.items())
    key = digest(BASE_FORMAT, kernel.release, kernel.sha256, LEFT_OUT.pattern, *versions)
    image = where.lab_cache / f"base-{key}.ext4"
    if cached(image):
        return image
    with made_once(image) as made:
        if made is None:
            return image
        mke2fs = shutil.which("mke2fs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not mke2fs:
            raise LabError("mke2fs is missing; run: apt-get install e2fsprogs")
        tree = made.with_name("tree")
        tree.mkdir()
        fill_base(where.root, tree, closure, kernel)
        size = sum(max(path.lstat().st_size, 512) for path in tree.rglob("*"))
        mib = size * 5 // 4 // (1 << 20) + 24
        command = [mke2fs, "-q", "-t", "ext4", "-d", str(tree), "-O", "^has_journal,^resize_inode",
                   "-m", "0", "-L", "lab", "-E", "root_owner=0:0", str(made), f"{mib}M"]
        if os.getuid() != 0:
            # In the image everything belongs to root, as in a real one.
            command = ["unshare", "--user", "--map-root-user", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"the machines' image could not be made: {done.stderr.strip()}")
        shutil.rmtree(tree)
    return image


# --- PID 1 ----------------------------------------------------------------

def init_binary() -> Path:
    """PID 1, built in the trixie root when its sources have changed."""
    where = paths()
    crate = QEMU_DIR / "init"
    sources = [crate / "Cargo.toml", crate / "Cargo.lock", *sorted((crate / "src").glob("*.rs"))]
    key = digest(*(path.read_bytes() for path in sources))
    binary = where.lab_cache / f"init-{key}"
    if cached(binary):
        return binary
    with made_once(binary) as made:
        if made is None:
            return binary
        # With --target, the flag for a static file reaches the program only
        # and not the procedural macros, which are loaded by the compiler.
        triple = "x86_64-unknown-linux-gnu"
        command = [QEMU_DIR / "in-root", "--", "env", "RUSTFLAGS=-Ctarget-feature=+crt-static",
                   "cargo", "build", "--locked", "--quiet", "--release", "--target", triple,
                   "--manifest-path", crate / "Cargo.toml", "--target-dir", where.lab_cache / "init-target"]
        if subprocess.run(command, check=False).returncode != 0:
            raise LabError("PID 1 of the machines (qemu/init) did not build; see above")
        shutil.copy(where.lab_cache / "init-target" / triple / "release" / "lab-init", made)
    return binary


# --- the initramfs --------------------------------------------------------

def module_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def module_order(kernel: Kernel) -> list[Path]:
    """Files of the early modules, each after those that it needs. Modules that
    a kernel has built in are not in modules.dep and need nothing."""
    needs = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    by_name = {os.path.basename(name).split(".")[0].replace("-", "_"): name for name in needs}
    order: list[str] = []

    def visit(name: str) -> None:
        for other in needs[name]:
            visit(other)
        if name not in order:
            order.append(name)

    for module in EARLY_MODULES:
        if module in by_name:
            visit(by_name[module])
    return [kernel.modules / name for name in order]


def early_initramfs(kernel: Kernel | None) -> Path:
    """PID 1 and the early modules; User-Mode Linux (None) needs no modules."""
    binary = init_binary()
    key = digest(binary.name, kernel.sha256 if kernel else "uml", *EARLY_MODULES)
    archive = paths().lab_cache / f"early-{key}.cpio"
    if cached(archive):
        return archive
    with made_once(archive) as made:
        if made is None:
            return archive
        with open(made, "wb") as out:
            cpio = CpioWriter(out)
            cpio.file("init", binary.read_bytes(), 0o755)
            if kernel:
                order = module_order(kernel)
                for path in order:
                    cpio.file(f"modules/{path.name.split('.')[0]}.ko", module_bytes(path))
                names = "".join(f"{path.name.split('.')[0]}.ko\n" for path in order)
                cpio.file("modules/order", names.encode())
            cpio.close()
    return archive


def initramfs(kernel: Kernel | None, stage: Path, target: Path) -> int:
    """Write the initramfs of one lab; the number of staged files is returned.
    The kernel unpacks archives that lie one behind the other."""
    with open(target, "wb") as out:
        out.write(early_initramfs(kernel).read_bytes())
        cpio = CpioWriter(out)
        cpio.directory("stage")
        count = 0
        if stage.is_dir():
            count = cpio.tree(stage, lambda name: "stage/" + MERGED.sub(r"usr/\1", name, count=1)
                              if MERGED.match(name) else "stage/" + name)
        for path in sorted(stage.glob("lib/*/*.ko")) + sorted(stage.glob("usr/lib/*/*.ko")):
            conf = f"etc/modprobe.d/lab-{path.stem}.conf"
            if path.stem == path.parent.name and not (stage / conf).exists():
                cpio.file(f"stage/{conf}", MODPROBE_CONF.format(path.stem).encode())
        cpio.close()
    return count

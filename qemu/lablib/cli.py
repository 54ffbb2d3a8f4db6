# SPDX-License-Identifier: GPL-2.0
"""What a person types."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import LabError, image
from .client import (STATUS_LAB, STATUS_SPLAT, STATUS_TIMEOUT, Command, ask, lab_directory, print_splats,
                     running_labs)
from .paths import stock_kernel
from .prepare import BEDS, accelerator, check_host, start_daemon, write_config
from .topology import MEM_MIB, Node, Topology, load, parse_loss
from .topology import __doc__ as topology_syntax

UML_MEM_MIB = 768

# What a receiver of a tar stream does: the entry takes the name it is to have,
# or goes into the directory of that name, as with cp -r.
RECEIVE = """
set -eu
name=$1 target=$2
case $target in */) mkdir -p "$target" ;; esac
if [ -d "$target" ]; then target=${target%/}/$name; fi
parent=$(dirname "$target")
mkdir -p "$parent"
scratch=$(mktemp -d -p "$parent")
trap 'rm -rf "$scratch"' EXIT
tar -x --no-same-owner -f - -C "$scratch"
if [ -d "$scratch/$name" ] && [ -d "$target" ]; then
    cp -a "$scratch/$name/." "$target"
else
    mv -fT "$scratch/$name" "$target"
fi
"""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


# --- labs of several machines ---------------------------------------------

def cmd_up(options) -> int:
    topology = load(options.topology)
    for name in options.off:
        topology.node(name).off = True
    begun = time.monotonic()
    directory = write_config(options.name, topology, "stock", say, shares=options.share,
                             release=options.kernel, boot_timeout=options.boot_timeout)
    try:
        start_daemon(directory, say, tethered=False)
    except KeyboardInterrupt:
        raise LabError("interrupted; the lab is gone") from None
    waiting = [node.name for node in topology.nodes if node.off]
    more = f" (still off: {' '.join(waiting)})" if waiting else ""
    say(f"{options.name}: {len(topology.nodes) - len(waiting)} machines, {len(topology.links)} links"
        f" up in {time.monotonic() - begun:.1f} s{more}")
    return 0


def cmd_down(options) -> int:
    answer = ask(options.name, {"op": "down", "now": options.now})
    wait_gone(options.name)
    return report(answer["splats"])


def wait_gone(name: str) -> None:
    """The name is free again when the daemon has taken its socket away."""
    for _ in range(200):
        if not (lab_directory(name) / "socket").exists():
            return
        time.sleep(0.02)


def report(splats: list[dict], otherwise: int = 0) -> int:
    """A splat fails what seemed to succeed, and explains a machine that died."""
    print_splats(splats)
    return STATUS_SPLAT if splats and otherwise in (0, STATUS_LAB) else otherwise


def cmd_status(options) -> int:
    if options.all:
        names = running_labs()
        print(json.dumps(names) if options.json else "\n".join(names))
        return 0
    status = ask(options.name, {"op": "status"})
    if options.json:
        print(json.dumps(status, indent=1))
    else:
        print(f"lab {status['name']}: bed {status['bed']}, {status['accel'].upper()}, "
              f"up {status['uptime']:.0f} s, files in {status['directory']}")
        for node in status["nodes"]:
            wires = "  ".join(f"{one['name']} to {one['to']}" for one in node["interfaces"])
            boot = f"booted in {node['boot_seconds']:.1f} s" if node["boot_seconds"] else "never on"
            print(f"  {node['name']:12} {node['state']:8} {node['mem']} MiB, {node['cpus']} CPU, {boot}"
                  f"{'; ' + wires if wires else ''}{'; SPLAT' if node['splats'] else ''}")
        print_links(status["links"])
        for splat in status["splats"]:
            print(f"  splat on {splat['node']}: {splat['lines'][0]}")
    return STATUS_SPLAT if status["splats"] else 0


def print_links(links: list[dict]) -> None:
    for link in links:
        state = "up" if link["up"] else "down"
        loss = f", loss {link['loss']:.1%}" if link["loss"] else ""
        print(f"  {link['a']} -- {link['b']}: {state}, mtu {link['mtu']}{loss}")
        for start, end, key in ((link["a"], link["b"], "a_to_b"), (link["b"], link["a"], "b_to_a")):
            way = link[key]
            drops = "".join(f", {way[drop]} {drop}" for drop in ("lost", "unplugged", "overflow") if way[drop])
            print(f"    {start:>12} > {end:12} {way['frames']:>9} frames {way['bytes']:>12} bytes{drops}")


def cmd_links(options) -> int:
    links = ask(options.name, {"op": "status"})["links"]
    if options.json:
        print(json.dumps(links, indent=1))
    else:
        print_links(links)
    return 0


def cmd_power(options) -> int:
    answer = ask(options.name, {"op": "power", "node": options.node, "on": options.state == "on"})
    if options.state == "on":
        say(f"{options.node}: ready after {answer['boot_seconds']:.1f} s")
    return 0


def cmd_link(options) -> int:
    request = {"op": "link", "a": options.a, "b": options.b}
    match options.change:
        case ["up" | "down" as state]:
            request["up"] = state == "up"
        case ["loss", percent]:
            request["loss"] = parse_loss(percent)
        case _:
            raise LabError("expected: lab link A B up|down|loss PERCENT")
    ask(options.name, request)
    return 0


def cmd_capture(options) -> int:
    request = {"op": "capture", "a": options.a, "b": options.b}
    if options.file and options.stop:
        raise LabError("--stop ends all captures of a link and takes no file")
    if options.file:
        request["file"] = os.path.abspath(options.file)
    elif not options.stop:
        raise LabError("expected: lab capture A B FILE.pcap, or --stop")
    for one in ask(options.name, request).get("stopped", []):
        say(f"{one['file']}: {one['frames']} frames")
    return 0


# --- commands in a machine --------------------------------------------------

def environment(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        found[key] = value if equals else os.environ.get(key, "")
    return found


def cmd_exec(options) -> int:
    if not options.command:
        raise LabError("expected: lab exec NODE -- CMD…")
    command = Command(options.name, options.node, options.command, env=environment(options.env),
                      cwd=options.cwd, stdin=0 if options.stdin else None)
    status = command.run(options.timeout)
    return report(command.splats, status)


def cmd_shell(options) -> int:
    if not sys.stdin.isatty():
        raise LabError("a shell needs a terminal; for scripts there is: lab exec NODE -- CMD…")
    env = {"TERM": os.environ.get("TERM", "linux"), "PS1": rf"{options.name}:\h:\w# "}
    argv = options.command or ["bash", "--norc", "-i"]
    return Command(options.name, options.node, argv, env=env, cwd="/root", stdin=0, terminal=True).run()


def cmd_console(options) -> int:
    path = lab_directory(options.name) / f"{options.node}.console"
    if not path.exists():
        raise LabError(f"{options.node} has printed nothing yet ({path})")
    follow = options.follow or sys.stdout.isatty()
    return subprocess.run(["tail", "-n", "+1", *(["-F"] if follow else []), path], check=False).returncode


def cmd_push(options) -> int:
    source = Path(options.source).absolute()
    if not source.exists():
        raise LabError(f"{source} does not exist")
    with subprocess.Popen(["tar", "-c", "-f", "-", "-C", source.parent, "--", source.name],
                          stdout=subprocess.PIPE) as sender:
        receive = ["sh", "-c", RECEIVE, "push", source.name, options.target]
        status = Command(options.name, options.node, receive, stdin=sender.stdout.fileno()).run()
        sender.stdout.close()
    return status or (STATUS_LAB if sender.returncode else 0)


def cmd_pull(options) -> int:
    parent, name = os.path.split(options.source.rstrip("/"))
    send = ["tar", "-c", "-f", "-", "-C", parent or "/", "--", name]
    receive = ["sh", "-c", RECEIVE, "pull", name, options.target]
    with subprocess.Popen(receive, stdin=subprocess.PIPE) as receiver:
        status = Command(options.name, options.node, send, stdout=receiver.stdin.fileno()).run()
        if status:
            receiver.terminate()
        receiver.stdin.close()
    return status or (STATUS_LAB if receiver.returncode else 0)


# --- one machine for one command --------------------------------------------

def shared_directories(options) -> tuple[list[str], str | None]:
    shares = [str(Path(share).resolve()) for share in options.share]
    for share in shares:
        if not os.path.isdir(share):
            raise LabError(f"--share {share}: no such directory")
    here = os.getcwd()
    inside = any(here == share or here.startswith(share.rstrip("/") + "/") for share in shares)
    return shares, options.cwd or (here if inside else None)


def cmd_run(options) -> int:
    if not options.command:
        raise LabError("expected: lab run --bed BED -- CMD…")
    name = options.name if options.named else f"run-{os.getpid()}"
    quiet = (lambda _text: None) if options.quiet else say
    shares, cwd = shared_directories(options)
    # The checkers of a debugging kernel keep shadows of what they check.
    mem = options.mem or (MEM_MIB if options.bed == "stock" else UML_MEM_MIB)
    topology = Topology([Node("machine", mem, options.cpus)])
    directory = write_config(name, topology, options.bed, quiet, shares=shares,
                             release=options.kernel, boot_timeout=options.boot_timeout)
    with start_daemon(directory, quiet, tethered=True):
        command = Command(name, "machine", options.command, env=environment(options.env), cwd=cwd,
                          stdin=0 if options.stdin else None)
        status = command.run(options.timeout)
        splats = ask(name, {"op": "down", "now": status == STATUS_TIMEOUT})["splats"]
    wait_gone(name)
    console = directory / "machine.console"
    if options.console:
        shutil.copy(console, options.console)
    status = report(splats, status)
    if status == 0:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        quiet(f"status {status}; the console is kept in {console}")
    return status


def cmd_image(_options) -> int:
    """Make all that is made once, so that later calls are quick and offline."""
    check_host()
    image.drop_old()
    kernel = stock_kernel(None)
    for made in (image.init_binary(), image.early_initramfs(kernel), image.early_initramfs(None),
                 image.base_image(kernel)):
        say(f"{made} {made.stat().st_size / (1 << 20):.1f} MiB")
    say(f"machines run with {accelerator(kernel, say).upper()}")
    return 0


# --- arguments ----------------------------------------------------------------

def seconds(word: str) -> float:
    value = float(word)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description="Virtual machines on a stock kernel, Ethernet links between them.",
        epilog=f"Exit status: the command's own; {STATUS_SPLAT} after a kernel splat, {STATUS_TIMEOUT} timed out, "
               f"{STATUS_LAB} the lab itself failed.")
    parser.add_argument("--name", help="which lab, when there are several (default: $LAB, or lab)")
    commands = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def add(name: str, function, text: str, *positional: str):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        for word in positional:
            sub.add_argument(word)
        return sub

    def add_boot(sub):
        sub.add_argument("--share", action="append", default=[], metavar="DIR",
                         help="a directory of the host, seen inside at the same path (repeatable)")
        sub.add_argument("--kernel", metavar="RELEASE", help="another stock kernel than the newest")
        sub.add_argument("--boot-timeout", type=seconds, default=180.0, metavar="S")

    def add_command(sub):
        sub.add_argument("-i", "--stdin", action="store_true", help="pass standard input through")
        sub.add_argument("--timeout", type=seconds, metavar="S",
                         help=f"kill the command after S seconds (status {STATUS_TIMEOUT})")
        sub.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]")
        sub.add_argument("--cwd", metavar="DIR")

    up = add("up", cmd_up, "start the machines of a topology", "topology")
    up.formatter_class, up.epilog = argparse.RawDescriptionHelpFormatter, topology_syntax
    up.add_argument("--off", action="append", default=[], metavar="NODE", help="leave this node switched off")
    add_boot(up)
    down = add("down", cmd_down, "power all machines off and end the lab")
    down.add_argument("--now", action="store_true", help="pull all plugs instead")
    status = add("status", cmd_status, "machines, links, counters, splats")
    status.add_argument("-j", "--json", action="store_true")
    status.add_argument("--all", action="store_true", help="names of all running labs")
    links = add("links", cmd_links, "frames and bytes per link and direction")
    links.add_argument("-j", "--json", action="store_true")
    add_command(add("exec", cmd_exec, "run a command in a machine: lab exec NODE -- CMD…", "node"))
    add("shell", cmd_shell, "an interactive shell in a machine", "node")
    console = add("console", cmd_console, "what a machine's kernel printed", "node")
    console.add_argument("-f", "--follow", action="store_true", help="also when the output is no terminal")
    add("push", cmd_push, "copy a file or directory into a machine", "node", "source", "target")
    add("pull", cmd_pull, "copy a file or directory out of a machine", "node", "source", "target")
    power = add("power", cmd_power, "switch a machine on, or pull its plug", "node")
    power.add_argument("state", choices=["on", "off"])
    link = add("link", cmd_link, "lab link A B up|down|loss 5%%", "a", "b")
    link.add_argument("change", nargs="+", metavar="up|down|loss PERCENT")
    capture = add("capture", cmd_capture, "record a link's frames until --stop or down", "a", "b")
    capture.add_argument("file", nargs="?")
    capture.add_argument("--stop", action="store_true")
    run = add("run", cmd_run, "boot one machine, run a command, power off with its status")
    run.add_argument("--bed", choices=BEDS, default="stock")
    run.add_argument("--mem", type=int, metavar="MIB")
    run.add_argument("--cpus", type=int, default=1, metavar="N")
    run.add_argument("--console", metavar="FILE", help="keep the kernel's console output here")
    run.add_argument("-q", "--quiet", action="store_true", help="print nothing but the command's output and splats")
    add_boot(run)
    add_command(run)
    add("image", cmd_image, "make the machines' images and probe KVM now")
    return parser


def main(argv: list[str]) -> int:
    # Everything behind -- belongs to the command, whatever it looks like.
    command: list[str] = []
    if "--" in argv:
        cut = argv.index("--")
        argv, command = argv[:cut], argv[cut + 1:]
    options = arguments().parse_args(argv)
    options.command = command
    options.named = options.name is not None or "LAB" in os.environ
    options.name = options.name or os.environ.get("LAB") or "lab"
    try:
        return options.function(options)
    except LabError as error:
        say(str(error))
        return STATUS_LAB
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough; python must not try to flush it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141

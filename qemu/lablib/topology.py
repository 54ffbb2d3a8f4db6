# SPDX-License-Identifier: GPL-2.0
"""The file that describes a lab.

    # Comments and empty lines are skipped.
    load feed [family=18]            insert this module in every node
    node author                      a machine
    node isp mem=512 cpus=2          ... with more than 384 MiB and one CPU
    node late off                    ... that `lab up` leaves switched off
    link author isp                  an Ethernet cable
    link isp late mtu=9000 loss=5%   ... with its MTU and loss

A node's interfaces are called eth0, eth1, ... in the order in which the links
that name it stand in the file.
"""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import LabError
from .paths import QEMU_DIR

MEM_MIB, MEM_MIB_MIN = 384, 192
MTU, MTU_MIN, MTU_MAX = 1500, 1280, 9000
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")


@dataclass
class Node:
    name: str
    mem: int = MEM_MIB
    cpus: int = 1
    off: bool = False


@dataclass
class Link:
    a: str
    b: str
    mtu: int = MTU
    loss: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.a}-{self.b}"


@dataclass
class Load:
    module: str
    parameters: str = ""


@dataclass
class Topology:
    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    load: list[Load] = field(default_factory=list)

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"no node {name}; there are: {' '.join(node.name for node in self.nodes)}")

    def ends(self, name: str) -> list[tuple[int, int, str]]:
        """The interfaces of a node in order: (link, end of it, neighbour)."""
        found = []
        for index, link in enumerate(self.links):
            if link.a == name:
                found.append((index, 0, link.b))
            elif link.b == name:
                found.append((index, 1, link.a))
        return found

    def mac(self, link: int, end: int) -> str:
        """Locally administered, and readable: 02:fe:ed, link, end, node."""
        name = (self.links[link].a, self.links[link].b)[end]
        node = [node.name for node in self.nodes].index(name)
        return f"02:fe:ed:{link:02x}:{end:02x}:{node + 1:02x}"

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "Topology":
        return cls([Node(**node) for node in data["nodes"]],
                   [Link(**link) for link in data["links"]],
                   [Load(**load) for load in data["load"]])


def parse_loss(word: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%?", word)
    if not match or float(match[1]) > 100:
        raise LabError(f"loss is a percentage such as 5%, not {word!r}")
    return float(match[1]) / 100


def parse(text: str, name: str) -> Topology:
    topology = Topology()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            _parse_line(topology, words)
        except (LabError, ValueError) as error:
            raise LabError(f"{name}:{number}: {error}") from None
    if not topology.nodes:
        raise LabError(f"{name}: names no node")
    return topology


def _parse_line(topology: Topology, words: list[str]) -> None:
    match words:
        case ["node", name, *options]:
            topology.nodes.append(_parse_node(topology, name, options))
        case ["link", a, b, *options]:
            topology.links.append(_parse_link(topology, a, b, options))
        case ["load", module, *parameters]:
            topology.load.append(Load(module, " ".join(parameters)))
        case _:
            raise LabError("expected: node NAME … | link A B … | load MODULE …")


def _parse_node(topology: Topology, name: str, options: list[str]) -> Node:
    if not NAME.fullmatch(name):
        raise LabError(f"{name!r} is no host name")
    if any(node.name == name for node in topology.nodes):
        raise LabError(f"node {name} is there twice")
    if len(topology.nodes) == 254:
        raise LabError("too many nodes")
    node = Node(name)
    for option in options:
        key, _, value = option.partition("=")
        if option == "off":
            node.off = True
        elif key == "mem":
            node.mem = int(value)
            if node.mem < MEM_MIB_MIN:
                raise LabError(f"a machine needs mem={MEM_MIB_MIN} at least")
        elif key == "cpus":
            node.cpus = int(value)
            if node.cpus < 1:
                raise LabError("a machine needs cpus=1 at least")
        else:
            raise LabError(f"unknown option {option} of a node")
    return node


def _parse_link(topology: Topology, a: str, b: str, options: list[str]) -> Link:
    topology.node(a), topology.node(b)
    if a == b:
        raise LabError(f"a link needs two ends, not {a} twice")
    if any({link.a, link.b} == {a, b} for link in topology.links):
        raise LabError(f"{a} and {b} are linked twice")
    link = Link(a, b)
    for option in options:
        key, _, value = option.partition("=")
        if key == "mtu":
            link.mtu = int(value)
            if not MTU_MIN <= link.mtu <= MTU_MAX:
                raise LabError(f"mtu is between {MTU_MIN} and {MTU_MAX}")
        elif key == "loss":
            link.loss = parse_loss(value)
        else:
            raise LabError(f"unknown option {option} of a link")
    return link


def load(name: str) -> Topology:
    """Read a file, or one of the lab's own topologies by its short name."""
    own = QEMU_DIR / "topologies"
    path = Path(name)
    if not path.is_file():
        path = own / (name if name.endswith(".topo") else f"{name}.topo")
    if not path.is_file():
        known = " ".join(sorted(entry.stem for entry in own.glob("*.topo")))
        raise LabError(f"no topology {name}: give a file, or one of: {known}")
    return parse(path.read_text(), str(path))

"""Which lessons does the course have, and which part of the whole does each take apart?

The whole is the way of a container, from the person who asks for one to the kernel that holds it: the parts that
`labkit.show.course_map` draws. A lesson that is not in this table is shown by its file's name, and lights nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["COURSE", "PARTS", "Part", "Topic", "lesson_number", "lessons_on", "topic_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the whole: its name on the map, its role in `labkit.show.look`, and one sentence on what it is."""

    name: str
    role: str
    what: str


@dataclass(frozen=True, slots=True)
class Topic:
    """What a lesson is about: its title, about how many minutes it takes, and the parts that it takes apart."""

    title: str
    minutes: int
    parts: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "computer": Part(
        "your computer", "you", "The computer that you sit at. The lab machine runs on it, and changes nothing on it."
    ),
    "machine": Part(
        "lab machine",
        "you",
        "A disposable Linux computer. You are root on it; a restart of the kernel boots a new one.",
    ),
    "you": Part("you", "you", "You type a command, or run a cell."),
    "docker": Part("docker", "you", "The command. It turns what you type into requests, and prints the answers."),
    "socket": Part(
        "socket", "request", "The door of the engine, a file: /run/docker.sock. Requests and answers pass through it."
    ),
    "dockerd": Part(
        "dockerd",
        "engine",
        "The engine. It answers requests, and keeps the records of containers, images and networks.",
    ),
    "containerd": Part(
        "containerd", "engine", "It looks after running containers for dockerd, and starts a shim for each of them."
    ),
    "shim": Part(
        "shim",
        "engine",
        "The parent of one container. It holds the container's pipes, and learns how the container ends.",
    ),
    "runc": Part("runc", "engine", "It makes the container with system calls, starts your process in it, and is gone."),
    "process": Part(
        "your process", "container", "The program in the container: a process like any other, which sees and gets less."
    ),
    "images": Part(
        "images, layers",
        "engine",
        "The files on the disk, in /var/lib/docker: read-only layers, and one that can be written.",
    ),
    "kernel": Part(
        "the Linux kernel",
        "kernel",
        "It knows no containers, only processes. A uml machine has its own; a native one uses your computer's.",
    ),
    "namespaces": Part(
        "namespaces", "kernel", "What a process sees: its own list of processes, its own host name, its own users."
    ),
    "cgroups": Part(
        "control groups",
        "kernel",
        "What a process may use: memory, processor time, a number of processes; counted and limited.",
    ),
    "mounts": Part("mounts", "kernel", "Which files a process finds: a stack of layers, shown as one root directory."),
    "network": Part(
        "network", "kernel", "Whom a process reaches: interfaces of its own, a bridge, and address translation."
    ),
}

COURSE: Mapping[str, Topic] = {
    "00": Topic("Start here", 25, ("machine", "dockerd")),
    "01": Topic("Speak the Engine API", 50, ("docker", "socket", "dockerd")),
    "02": Topic("Listen to the docker command", 45, ("docker", "socket")),
    "02b": Topic("Read a line of flags", 25, ("docker",)),  # optional
    "03": Topic("The daemon", 50, ("socket", "dockerd", "containerd", "shim")),
    "04": Topic("Images and builds", 40, ("dockerd", "images")),
    "05": Topic("Where Docker keeps everything", 40, ("images",)),
    "06": Topic("The union file system", 40, ("images", "mounts")),
    "07": Topic("Storage drivers", 40, ("dockerd", "images", "mounts")),
    "08": Topic("Namespaces", 50, ("process", "namespaces")),
    "09": Topic("The system calls of namespaces", 50, ("runc", "process", "namespaces")),
    "10": Topic("How docker exec gets in", 50, ("runc", "process", "namespaces")),
    "11": Topic("Control groups", 50, ("process", "cgroups")),
    "12": Topic("The network of a container", 60, ("process", "network")),
    "13": Topic("Attach, logs, events", 50, ("socket", "dockerd", "shim", "process")),
    "14": Topic("Machines, Compose and Swarm", 60, ("machine", "docker", "dockerd", "network")),
    "15": Topic("Security", 60, ("socket", "process", "namespaces", "mounts")),
    "16": Topic(
        "Build your own", 105, ("docker", "runc", "process", "images", "namespaces", "cgroups", "mounts", "network")
    ),
}


def lesson_number(name: str) -> str:
    """Give the number with which a lesson's name begins; an optional lesson has a letter after it, "02b".

    >>> lesson_number("01-engine-api"), lesson_number("02b-flags"), lesson_number("mine")
    ('01', '02b', '')
    """
    match = re.match(r"\d\d[a-z]?(?=-|$)", name)
    return match[0] if match else ""


def topic_of(name: str) -> Topic | None:
    """Give what the table has on a lesson, or None."""
    return COURSE.get(lesson_number(name))


def lessons_on(part: str) -> list[str]:
    """Give the numbers of the lessons that take a part apart, in order."""
    return [number for number, topic in COURSE.items() if part in topic.parts]

"""Do the programs that are assembled for the kernel answer as their rules say? Here they are run step by step."""

import errno

import pytest

from labkit.isolation import device_filter as devices
from labkit.isolation import seccomp
from labkit.isolation.bundle import as_config, parse_config
from labkit.isolation.docker_defaults import docker_spec
from labkit.isolation.limits import ALLOWED_DEVICES
from labkit.isolation.seccomp import DOCKER, MACHINES, NUMBERS, Rule, assemble
from labkit.isolation.spec import Root, User
from tests.unit.test_links import ROOT

ALLOW, KILL = seccomp.SECCOMP_RET_ALLOW, seccomp.SECCOMP_RET_KILL_PROCESS


def ask(program: bytes, number: int, argument: int = 0, machine: str = "x86_64") -> int:
    """What a filter answers to a system call: classic BPF, as far as these programs use it."""
    data = {seccomp.NR: number, seccomp.ARCH: MACHINES[machine], seccomp.ARGUMENTS: argument}
    code, at, register = list(seccomp.INSTRUCTION.iter_unpack(program)), 0, 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == seccomp.RETURN:
            return int(constant)
        if operation == seccomp.LOAD:
            register = data[constant]
            continue
        is_true = {
            seccomp.JUMP_IF_EQUAL: register == constant,
            seccomp.JUMP_IF_GREATER: register > constant,
            seccomp.JUMP_IF_ANY_BIT: bool(register & constant),
        }[operation]
        at += if_true if is_true else if_false


def refusal(error: int) -> int:
    return seccomp.SECCOMP_RET_ERRNO | error


@pytest.mark.parametrize("machine", MACHINES)
def test_each_rule_refuses_its_call_and_no_other(machine: str) -> None:
    """Over all numbers that a call may have."""
    program, column = assemble(DOCKER, machine), list(MACHINES).index(machine)
    refused = {NUMBERS[rule.call][column]: rule.error for rule in DOCKER if not rule.any_bit}
    answers = {number: ask(program, number, 0, machine) for number in range(seccomp.HIGHEST + 1)}

    assert {number: refusal(refused[number]) if number in refused else ALLOW for number in answers} == answers
    assert refusal(errno.ENOSYS) == ask(program, seccomp.HIGHEST + 1, 0, machine)


def test_clone_is_refused_with_new_namespaces_alone() -> None:
    """Threads and forks need it."""
    program, clone = assemble(DOCKER, "x86_64"), NUMBERS["clone"][0] or 0

    assert [ALLOW, ALLOW] == [ask(program, clone, flags) for flags in (17, 0x3D0F00)]
    assert [refusal(errno.EPERM)] * 2 == [ask(program, clone, flags | 17) for flags in (0x10000000, 0x20000)]


def test_another_architecture_is_ended() -> None:
    """Its numbers mean other calls. So do those of x32."""
    program = assemble(DOCKER, "x86_64")

    assert KILL == ask(program, 1, 0, "aarch64")
    assert refusal(errno.ENOSYS) == ask(program, seccomp.X32 | 1)


def test_a_call_that_is_not_known_is_told() -> None:
    """A rule that refuses nothing would be worse than none."""
    with pytest.raises(ValueError, match="not in the table of seccomp filters: quux"):
        assemble((Rule("quux", "an example"),))


def test_names_and_numbers_are_in_order() -> None:
    """Each call once; no two calls of one machine have one number."""
    assert sorted(NUMBERS) == list(NUMBERS)
    for column in range(2):
        numbers = [each[column] for each in NUMBERS.values() if each[column] is not None]
        assert len(set(numbers)) == len(numbers)


def open_device(program: bytes, kind: str, major: int, minor: int, letters: str) -> bool:
    """What the filter of devices answers: extended BPF, as far as it is used here."""
    access = sum(devices.ACCESSES[letter] for letter in letters)
    context = {0: access << 16 | devices.KINDS[kind], 4: major, 8: minor}
    registers, at = [0] * 10, 0
    code = list(devices.INSTRUCTION.iter_unpack(program))
    while True:
        operation, numbers, offset, constant = code[at]
        to, source = numbers & 15, numbers >> 4
        at += 1
        if operation == devices.EXIT:
            return bool(registers[0])
        if operation == devices.LOAD_32:
            registers[to] = context[offset]
        elif operation == devices.MOVE:
            registers[to] = registers[source]
        elif operation == devices.MOVE_CONSTANT:
            registers[to] = constant
        elif operation == devices.AND_32:
            registers[to] &= constant
        elif operation == devices.SHIFT_RIGHT_32:
            registers[to] >>= constant
        elif registers[to] != constant:  # JUMP_IF_NOT_EQUAL
            at += offset


@pytest.mark.parametrize(
    ("expected", "device"),
    [
        (True, ("c", 1, 3, "rw")),
        (True, ("c", 136, 77, "rwm")),
        (True, ("b", 254, 0, "m")),
        (False, ("b", 254, 0, "r")),
        (False, ("b", 254, 0, "mr")),
        (False, ("c", 1, 1, "r")),
        (False, ("b", 1, 3, "r")),
        (True, ("c", 10, 229, "m")),
        (False, ("c", 10, 229, "w")),
    ],
)
def test_the_filter_of_devices_answers_as_its_rules_say(expected: bool, device: tuple[str, int, int, str]) -> None:
    """Any node may be made; few devices may be opened."""
    assert expected == open_device(devices.assemble_rules(ALLOWED_DEVICES), *device)


def test_a_bundle_that_was_written_is_read_as_it_was() -> None:
    """But for what a config.json has no word for: the layers, and the user's name."""
    spec = docker_spec(Root(), ["true"], seccomp=(Rule("mount", "config.json"),), hostname="box", user=User(3, 4, (5,)))
    read = parse_config(as_config(spec), ROOT)

    for name in ("args", "env", "cwd", "hostname", "namespaces", "mounts", "masked_paths", "readonly_paths", "user"):
        assert getattr(spec, name) == getattr(read, name), name
    for name in ("capabilities", "no_new_privileges", "seccomp", "rlimits", "sysctl", "devices", "limits"):
        assert getattr(spec, name) == getattr(read, name), name
    assert str(ROOT / "rootfs") == read.root.directory

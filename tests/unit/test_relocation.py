"""Does a relocated program do what it did, and is what cannot be relocated refused, however bent it is?"""

import random
import struct
import subprocess
from pathlib import Path

import pytest

from labkit.machine.outside.relocation import BASE, NotRelocatable, relocate

# Addresses of functions and of data, in read-only and in writable memory, before and in a thread's memory; a symbol of
# the program that a library calls (qsort), and one that is not there.
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern void nowhere(void) __attribute__((weak));
static const char *const names[] = {"relocation", "of", "many", "words"};
static const char **moving = (const char **)names;
static __thread const char *of_thread = "thread";
static int order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static int (*const ways[])(const void *, const void *) = {order, 0};
int shown = 7;
__attribute__((constructor)) static void before(void) { shown += 1; }
int main(int count, char **words) {
    const char *sorted[4];
    memcpy(sorted, moving, sizeof sorted);
    qsort(sorted, 4, sizeof *sorted, ways[0]);
    for (int i = 0; i < 4; i++) printf("%s %s\\n", sorted[i], getenv("HOME") ? names[i] : "homeless");
    printf("%s %d %d %d\\n", of_thread, shown, nowhere != 0, count);
    return 3;
}
"""


def build(directory: Path, *options: str, source: str = SOURCE) -> Path:
    program = directory / "program"
    command = ["gcc", "-x", "c", "-O1", "-fPIE", "-pie", *options, "-o", str(program), "-"]
    subprocess.run(command, input=source, text=True, check=True)
    return program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build(tmp_path_factory.mktemp("program")).read_bytes()


@pytest.mark.parametrize(
    "options",
    [["-Wl,-z,now"], ["-Wl,-z,lazy"], ["-rdynamic"], ["-Wl,--hash-style=sysv"], ["-s"], ["-g", "-Wl,-z,norelro"]],
    ids=" ".join,
)
def test_a_relocated_program_does_the_same(options: list[str], tmp_path: Path) -> None:
    """Its words and its status are the same; it lies where it should, and nothing is left to be relocated."""
    program = build(tmp_path, *options)
    moved = tmp_path / "moved"
    moved.write_bytes(relocate(program.read_bytes()))
    moved.chmod(0o755)

    before, after = (subprocess.run([one], capture_output=True, text=True, check=False) for one in (program, moved))
    tables = subprocess.run(
        ["readelf", "--wide", "--file-header", "--dynamic", "--segments", str(moved)], capture_output=True, text=True
    )

    assert (3, before.stdout) == (after.returncode, after.stdout)
    assert "many" in before.stdout
    assert "EXEC" in tables.stdout and f"LOAD           0x000000 {BASE:#018x}" in tables.stdout
    assert "PIE" not in tables.stdout and "RELACOUNT" in tables.stdout
    assert moved.stat().st_size == program.stat().st_size


@pytest.mark.parametrize(
    ("options", "source", "words"),
    [
        (["-no-pie"], SOURCE, "not position-independent"),
        (["-static-pie"], "int main(void) { return 0; }", "no program that the dynamic linker starts"),
        (["-shared", "-fPIC"], "int x;", "no program that the dynamic linker starts"),
        (["-Wl,-z,pack-relative-relocs"], SOURCE, "has the tag 0x2[3-5]$"),
        (["-Wl,-z,max-page-size=0x1000000"], SOURCE, "cannot lie at 0x400000"),
        (
            [],
            "static int f(void) { return 0; } static void *choose(void) { return f; }"
            'int g(void) __attribute__((ifunc("choose"))); int main(void) { return g(); }',
            "a relocation of the kind 37|no address of its data",
        ),
        ([], "#include <stdio.h>\nint main(void) { return stdout == 0; }", "of the kind 5|no address of its data"),
    ],
    ids=["not PIE", "static", "library", "RELR", "wide pages", "IRELATIVE", "COPY"],
)
def test_what_it_does_not_know_is_refused(options: list[str], source: str, words: str, tmp_path: Path) -> None:
    """Each of these would be another program afterwards, or none."""
    program = build(tmp_path, *options, source=source).read_bytes()

    with pytest.raises(NotRelocatable, match=words):
        relocate(program)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\necho hi\n", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01" + bytes(99)])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(NotRelocatable):
        relocate(content)


def test_a_file_that_ends_too_soon_is_refused(program: bytes) -> None:
    """Wherever it ends: its last table, that of the sections, stands last."""
    ends = [*range(0, 1024, 7), *range(1024, len(program), 97), len(program) - 1]

    taken = [end for end in ends if is_taken(program[:end])]

    assert [] == taken


def test_bent_files_end_in_a_refusal_or_in_a_file_of_the_same_size(program: bytes) -> None:
    """Nothing else is raised, and nothing runs on without an end, whatever a word of the tables says."""
    chance = random.Random(20)
    extremes = [0, 1, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0x8000000000000000, 1 << 32, len(program)]
    tables = find_words_of_tables(program)
    refused = 0

    for _ in range(1500):
        bent = bytearray(program)
        for _ in range(chance.randint(1, 3)):
            value = chance.choice([*extremes, chance.getrandbits(64), chance.randrange(len(program))])
            struct.pack_into("<Q", bent, chance.choice(tables), value)
        refused += not is_taken(bytes(bent))

    assert 100 < refused < 1500  # many words, as the names of sections, may be anything


def find_words_of_tables(program: bytes) -> list[int]:
    """Where the header, the program headers, the dynamic section and the section headers have their words."""
    phoff, shoff = struct.unpack_from("<QQ", program, 32)
    _, phentsize, phnum, shentsize, shnum = struct.unpack_from("<HHHHH", program, 52)
    headers = [struct.unpack_from("<IIQQQQQQ", program, phoff + phentsize * number) for number in range(phnum)]
    dynamic = next(range(header[2], header[2] + header[5], 8) for header in headers if header[0] == 2)
    tables = [range(16, 64, 2), range(phoff, phoff + phentsize * phnum, 8), dynamic]
    tables.append(range(shoff, shoff + shentsize * shnum - 8, 8))
    return [at for table in tables for at in table]


def is_taken(program: bytes) -> bool:
    try:
        moved = relocate(program)
    except NotRelocatable:
        return False
    assert len(program) == len(moved)
    return True

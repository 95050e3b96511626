"""How does a program come to need no relocation when it starts?

A position-independent program runs at any address. So it holds no address itself: whenever it starts, the dynamic
linker writes each of them, the program's place plus an offset, into a page that becomes the process's own. `relocate`
does that once, for one place. What comes out is a program of the older kind, ET_EXEC, which the kernel maps at that
place alone. Nothing else changes: every address in such a program has an entry in its tables, or it could not run at
any place. What is lost: the place is known to everybody, and not drawn anew at each start.
Source: elf(5); System V ABI, AMD64 supplement, "Relocation"; ld.so(8).
"""

import struct
from bisect import bisect
from collections.abc import Iterator

__all__ = ["BASE", "NotRelocatable", "relocate"]

BASE = 0x400000  # where programs of that kind lie on x86-64

ET_EXEC, ET_DYN, EM_X86_64 = 2, 3, 62
PT_LOAD, PT_DYNAMIC, PT_INTERP, PF_W = 1, 2, 3, 2
SHT_SYMTAB, SHT_DYNSYM, SHF_ALLOC = 2, 11, 2
SHN_UNDEF, SHN_LORESERVE, STT_TLS = 0, 0xFF00, 6
DT_NULL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_JMPREL = 0, 2, 7, 8, 23
DT_RELACOUNT, DT_FLAGS_1, DF_1_PIE = 0x6FFFFFF9, 0x6FFFFFFB, 0x08000000
# Tags whose value is an address: DT_PLTGOT to DT_RELA, _INIT, _FINI, _JMPREL, _INIT_ARRAY, _FINI_ARRAY, and of GNU
# DT_GNU_HASH, _VERSYM, _VERDEF, _VERNEED; and those whose value is none. Another tag is refused.
ADDRESSES = {3, 4, 5, 6, DT_RELA, 12, 13, DT_JMPREL, 25, 26, 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE}
NUMBERS = {DT_NULL, 1, DT_PLTRELSZ, DT_RELASZ, 9, 10, 11, 14, 15, 20, 21, 24, 27, 28, 29, 30}
NUMBERS |= {DT_RELACOUNT, DT_FLAGS_1, 0x6FFFFFFD, 0x6FFFFFFF}
R_RELATIVE, R_JUMP_SLOT = 8, 7
LEFT_TO_THE_LINKER = {1, 6, R_JUMP_SLOT, 16, 18}  # R_X86_64_64, _GLOB_DAT, _DTPMOD64, _TPOFF64: of a symbol

EHDR_ENTRY, EHDR_PHOFF, EHDR_SHOFF, EHDR_PHENTSIZE, EHDR_SHENTSIZE = 24, 32, 40, 54, 58
SYM_BYTES, RELA_BYTES, DYN_BYTES = 24, 24, 16


class NotRelocatable(ValueError):
    """The file is no such program, is not whole, or has in its tables what this module does not know."""


def relocate(program: bytes) -> bytes:
    """Give a program that does the same and lies at BASE; the file's size stays. Raises NotRelocatable."""
    try:
        return bytes(_Program(bytearray(program)).moved())
    except (struct.error, IndexError, OverflowError) as error:  # a table reaches beyond the file's end
        raise NotRelocatable("the file is not whole") from error


class _Program:
    """The bytes of an ELF file, and where its memory lies in them."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        if data[:6] != b"\x7fELF\x02\x01":
            raise NotRelocatable("it is no ELF file of 64 bits, little-endian")
        if struct.unpack_from("<HH", data, 16) != (ET_DYN, EM_X86_64):
            raise NotRelocatable("it is not position-independent, or not for x86-64")
        self.headers = list(self._table("<IIQQQQQQ", EHDR_PHOFF, EHDR_PHENTSIZE))
        kinds = [header[0] for _, header in self.headers]
        if PT_INTERP not in kinds or kinds.count(PT_DYNAMIC) != 1:
            raise NotRelocatable("it is no program that the dynamic linker starts")
        # Of what the kernel maps: first address, first byte in the file, how many bytes, whether it is writable.
        self.loads = sorted(
            (address, offset, size, bool(flags & PF_W))
            for _, (kind, flags, offset, address, _, size, _, align) in self.headers
            if kind == PT_LOAD and BASE % max(1, align) == 0
        )
        if len(self.loads) != kinds.count(PT_LOAD):
            raise NotRelocatable(f"a part of it cannot lie at {BASE:#x}")

    def moved(self) -> bytearray:
        tags = self._read_dynamic()
        self._apply_relocations(tags)
        self._move_dynamic(tags)
        self._move_symbols_and_sections()
        for at, (_, _, _, address, _, _, memory, _) in self.headers:
            if memory:
                self._put(at + 16, address + BASE, address + BASE)
        (entry,) = self._words(EHDR_ENTRY, 1)
        self._put(EHDR_ENTRY, entry + BASE)
        struct.pack_into("<H", self.data, 16, ET_EXEC)
        return self.data

    def _read_dynamic(self) -> dict[int, tuple[int, int]]:
        """Of each tag of the dynamic section its place in the file and its value; DT_NEEDED, a name, comes often."""
        (start, size) = next((header[2], header[5]) for _, header in self.headers if header[0] == PT_DYNAMIC)
        tags = {}
        for at in range(start, start + size, DYN_BYTES):
            tag, value = self._words(at, 2)
            if tag not in ADDRESSES | NUMBERS:
                raise NotRelocatable(f"its dynamic section has the tag {tag:#x}")
            tags[tag] = (at + 8, value)
            if tag == DT_NULL:
                break
        if not {DT_RELA, DT_RELASZ, DT_RELACOUNT, DT_FLAGS_1} <= set(tags):
            raise NotRelocatable("its tables do not say which relocations it has, or that it is a program")
        return tags

    def _apply_relocations(self, tags: dict[int, tuple[int, int]]) -> None:
        """Write the addresses that are the program's own; of the others, which the linker finds, move the places."""
        value = {tag: number for tag, (_, number) in tags.items()}
        table, done = self._offset(value[DT_RELA]), value[DT_RELACOUNT] * RELA_BYTES
        places = [range(table, table + value[DT_RELASZ], RELA_BYTES)]
        if DT_JMPREL in value:
            jumps = self._offset(value[DT_JMPREL])
            places.append(range(jumps, jumps + value.get(DT_PLTRELSZ, 0), RELA_BYTES))
        if done > value[DT_RELASZ] or any(place.stop > len(self.data) for place in places):
            raise NotRelocatable("the file is not whole")
        for at in dict.fromkeys(at for place in places for at in place):  # one table may lie in the other
            where, kind, addend = self._words(at, 3)
            word = self._offset(where, writable=True)
            if (kind == R_RELATIVE) != (table <= at < table + done):
                raise NotRelocatable("its relocations are not in the order that its tables say")
            if kind == R_RELATIVE:
                self._put(word, addend + BASE)
                continue
            if kind & 0xFFFFFFFF not in LEFT_TO_THE_LINKER:
                raise NotRelocatable(f"it has a relocation of the kind {kind & 0xFFFFFFFF}")
            self._put(at, where + BASE)
            if kind & 0xFFFFFFFF == R_JUMP_SLOT:  # holds where the linker is asked, until it has answered
                self._put(word, self._words(word, 1)[0] + BASE)

    def _move_dynamic(self, tags: dict[int, tuple[int, int]]) -> None:
        done = tags[DT_RELACOUNT][1] * RELA_BYTES
        for tag, (at, value) in tags.items():
            if tag in ADDRESSES:
                self._put(at, value + BASE + (done if tag == DT_RELA else 0))
        self._put(tags[DT_RELASZ][0], tags[DT_RELASZ][1] - done)
        self._put(tags[DT_RELACOUNT][0], 0)
        self._put(tags[DT_FLAGS_1][0], tags[DT_FLAGS_1][1] & ~DF_1_PIE)

    def _move_symbols_and_sections(self) -> None:
        kinds = []
        for at, (_, kind, flags, address, offset, size, *_) in self._table("<IIQQQQIIQQ", EHDR_SHOFF, EHDR_SHENTSIZE):
            kinds.append(kind)
            if flags & SHF_ALLOC:
                self._put(at + 16, address + BASE)
            if kind in (SHT_SYMTAB, SHT_DYNSYM):
                self._move_symbols(range(offset, offset + size, SYM_BYTES))
        if kinds.count(SHT_DYNSYM) != 1:
            raise NotRelocatable("it does not say how many symbols it has")

    def _move_symbols(self, places: range) -> None:
        for at in places:
            _, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
            if SHN_UNDEF < section < SHN_LORESERVE and info & 15 != STT_TLS:
                self._put(at + 8, value + BASE)

    def _table(self, form: str, offset_at: int, size_at: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The entries of a table that the file's header names, each with its place."""
        (start,), (size, count) = self._words(offset_at, 1), struct.unpack_from("<HH", self.data, size_at)
        for at in range(start, start + size * count, size or 1):
            yield at, struct.unpack_from(form, self.data, at)

    def _offset(self, address: int, *, writable: bool = False) -> int:
        """Where in the file a word of memory comes from."""
        after = bisect(self.loads, (address, len(self.data)))
        first, offset, size, may_write = self.loads[after - 1]
        if not after or address + 8 > first + size or (writable and not may_write):
            raise NotRelocatable(f"{address:#x} is no address of its data")
        return address - first + offset

    def _words(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{count}Q", self.data, at)

    def _put(self, at: int, *values: int) -> None:
        struct.pack_into(f"<{len(values)}Q", self.data, at, *(value % (1 << 64) for value in values))

"""Machine code of Apple's objects as objects of Linux: the same bytes, to be run here.

An object is written as assembler text of its sections' bytes, with a directive for each place
that a linker fills in. Sections that unwind and debug are left out.

Source: Apple, mach-o/loader.h, mach-o/nlist.h, mach-o/reloc.h, mach-o/x86_64/reloc.h and
mach-o/arm64/reloc.h; the ELF supplements for x86-64 and AArch64, relocation types.
"""

import struct
from dataclasses import dataclass

ARM64, X86_64 = 0x0100000C, 0x01000007
_SEGMENT, _SYMBOLS = 0x19, 2  # LC_SEGMENT_64, LC_SYMTAB
_TEXT, _DATA = ("__TEXT", "__DATA")
_LEFT_OUT = {"__eh_frame", "__compact_unwind"}
_ZERO_FILLS = (0x01, 0x12)  # S_ZEROFILL and that of threads, of the section's flags
_THREAD_VARIABLES = "__thread_vars"
_EXTERNAL, _WEAK = 0x01, 0x80  # N_EXT, N_WEAK_DEF


@dataclass(frozen=True)
class _Section:
    name: str
    segment: str
    address: int
    data: bytes
    alignment_bits: int
    relocations: tuple[tuple[int, int], ...]

    @property
    def kept(self):
        return self.segment in (_TEXT, _DATA, "__DATA_CONST") and self.name not in _LEFT_OUT


@dataclass(frozen=True)
class _Symbol:
    name: str
    section: int  # counted from 1; 0 of undefined ones
    value: int
    external: bool
    weak: bool


class _Object:
    def __init__(self, data, renamed):
        self.renamed = renamed
        magic, self.cpu, _, _, count = struct.unpack_from("<5I", data)
        assert magic == 0xFEEDFACF
        self.data, self.sections, self.symbols, at = data, [], [], 32
        for _ in range(count):
            command, size = struct.unpack_from("<2I", data, at)
            if command == _SEGMENT:
                (number,) = struct.unpack_from("<I", data, at + 64)
                self.sections += [self._section(at + 72 + 80 * i) for i in range(number)]
            if command == _SYMBOLS:
                self._read_symbols(*struct.unpack_from("<3I", data, at + 8))
            at += size

    def _section(self, at):
        name, segment = (
            self.data[at + i : at + i + 16].rstrip(b"\0").decode() for i in (0, 16)
        )
        address, size, offset, bits, first, number, flags = struct.unpack_from(
            "<2Q5I", self.data, at + 32
        )
        is_zero = flags & 0xFF in _ZERO_FILLS
        data = bytes(size) if is_zero else self.data[offset : offset + size]
        relocations = (
            struct.unpack_from("<iI", self.data, first + 8 * i) for i in range(number)
        )
        return _Section(name, segment, address, data, bits, tuple(relocations))

    def _read_symbols(self, table, number, strings):
        for i in range(number):
            name, kind, section, flags, value = struct.unpack_from(
                "<IBBHQ", self.data, table + 16 * i
            )
            start = strings + name
            text = self.data[start : self.data.index(b"\0", start)].decode()
            weak = section != 0 and bool(flags & _WEAK)
            self.symbols.append(_Symbol(text, section, value, bool(kind & _EXTERNAL), weak))

    def place(self, section, address):
        """An address of the object as assembler writes it."""
        return f".Lsection{section}+{address - self.sections[section - 1].address}"

    def symbol(self, index):
        """Where a symbol is: by name, where another object may have it."""
        symbol = self.symbols[index]
        if self.has_name(symbol):
            return f"{self.elf_name(symbol)}+0"
        return self.place(symbol.section, symbol.value)

    def has_name(self, symbol):
        """Threads' variables have one as well: tables of addresses are made of names."""
        section = self.sections[symbol.section - 1].name if symbol.section else ""
        return symbol.external or section == _THREAD_VARIABLES

    def elf_name(self, symbol):
        name = symbol.name.removeprefix("_")
        is_renamed = symbol.section == 0 and name in self.renamed
        return f'"{"darwin_" if is_renamed else ""}{name.replace("$", "_")}"'


def to_assembler(data, renamed=frozenset()):
    """Assembler text, for ELF, of a Mach-O object.

    Args:
        data: Bytes of the object, for arm64 or x86_64.
        renamed: Functions of other objects whose name shall begin with ``darwin_``.
    """
    file = _Object(data, renamed)
    fill = {ARM64: _arm64, X86_64: _x86_64}[file.cpu]
    lines = []
    for number, section in enumerate(file.sections, 1):
        if section.kept:
            flags = '"ax"' if section.name == "__text" else '"aw"'
            lines += [
                f'.section ".macho.{number}",{flags},@progbits',
                f".p2align {section.alignment_bits}",
                f".Lsection{number}:",
                *(
                    f".byte {','.join(map(str, section.data[i : i + 32]))}"
                    for i in range(0, len(section.data), 32)
                ),
                *(
                    f".reloc .Lsection{number}+{at}, {kind}, {target}"
                    for at, kind, target in fill(file, number, section)
                ),
            ]
    for symbol in file.symbols:
        is_here = symbol.section and file.sections[symbol.section - 1].kept
        if is_here and file.has_name(symbol):
            name = file.elf_name(symbol)
            lines += [
                f"{'.weak' if symbol.weak else '.globl'} {name}",
                f".set {name}, {file.place(symbol.section, symbol.value)}",
            ]
    return "\n".join(lines) + '\n.section .note.GNU-stack,"",@progbits\n'


def _fields(word):
    """Index, whether it is one of a symbol, type, and bytes that are filled in."""
    return word & 0xFFFFFF, bool(word >> 27 & 1), word >> 28, 1 << (word >> 25 & 3)


def _stored(section, at, num_bytes):
    return int.from_bytes(section.data[at : at + num_bytes], "little", signed=True)


def _difference(file, number, section, pair, kinds):
    """A number that is one place less another one in the same section."""
    (at, first), (also_at, second) = pair
    assert at == also_at
    base, target = _fields(first), _fields(second)
    assert base[1]
    assert target[1]
    symbol = file.symbols[base[0]]
    assert (
        symbol.section == number
    )  # the other place is that of the number, which moves with it
    addend = _stored(section, at, target[3]) + at - (symbol.value - section.address)
    return at, kinds[target[3]], f"{file.symbol(target[0])}{addend:+d}"


def _x86_64(file, number, section):
    unsigned, branch, got_load, got, subtractor, thread = 0, 2, 3, 4, 5, 9
    kinds = dict.fromkeys((got_load, got, thread), "R_X86_64_GOTPCREL")
    kinds[branch] = "R_X86_64_PLT32"
    entries = iter(section.relocations)
    for at, word in entries:
        index, is_symbol, kind, num_bytes = _fields(word)
        stored = _stored(section, at, num_bytes)
        if kind == subtractor:
            pair = (at, word), next(entries)
            relative = {4: "R_X86_64_PC32", 8: "R_X86_64_PC64"}
            yield _difference(file, number, section, pair, relative)
        elif kind == unsigned:
            place = file.symbol(index) if is_symbol else file.place(index, 0)
            yield at, {4: "R_X86_64_32", 8: "R_X86_64_64"}[num_bytes], f"{place}{stored:+d}"
        elif is_symbol:  # distances are from behind the number
            place = f"{file.symbol(index)}{stored - 4:+d}"
            yield at, kinds.get(kind, "R_X86_64_PC32"), place
        else:
            address = file.place(index, stored + section.address + at)
            yield at, kinds.get(kind, "R_X86_64_PC32"), address.replace("+-", "-")


def _arm64(file, number, section):
    unsigned, subtractor, branch, page, offset, addend_kind = 0, 1, 2, 3, 4, 10
    got_pages, got_offsets = (5, 8), (6, 9)  # the second ones of threads' variables
    kinds = {
        page: "R_AARCH64_ADR_PREL_PG_HI21",
        **dict.fromkeys(got_pages, "R_AARCH64_ADR_GOT_PAGE"),
        **dict.fromkeys(got_offsets, "R_AARCH64_LD64_GOT_LO12_NC"),
    }
    addend, entries = 0, iter(section.relocations)
    for at, word in entries:
        index, is_symbol, kind, num_bytes = _fields(word)
        if kind == addend_kind:  # of the next entry
            addend = index - (1 << 24) if index >> 23 else index
            continue
        instruction = int.from_bytes(section.data[at : at + 4], "little")
        place = file.symbol(index) if is_symbol else file.place(index, 0)
        if kind == subtractor:
            pair = (at, word), next(entries)
            relative = {4: "R_AARCH64_PREL32", 8: "R_AARCH64_PREL64"}
            yield _difference(file, number, section, pair, relative)
        elif kind == unsigned:
            yield at, "R_AARCH64_ABS64", f"{place}{_stored(section, at, num_bytes):+d}"
        elif kind == branch:
            link = instruction >> 26 == 0b100101
            yield at, f"R_AARCH64_{'CALL' if link else 'JUMP'}26", f"{place}{addend:+d}"
        elif kind == offset:
            yield at, f"R_AARCH64_{_offset_kind(instruction)}", f"{place}{addend:+d}"
        else:
            yield at, kinds[kind], f"{place}{addend:+d}"
        addend = 0


def _offset_kind(instruction):
    """Loads and stores count in their own size. Source: Arm ARM, unsigned immediate."""
    if instruction & 0x3B000000 != 0x39000000:
        return "ADD_ABS_LO12_NC"
    is_wide = instruction & 0x04800000 == 0x04800000 and instruction >> 30 == 0
    return f"LDST{128 if is_wide else 8 << (instruction >> 30)}_ABS_LO12_NC"

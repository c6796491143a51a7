"""Changes the paths and dependencies that Debian's Python has recorded about itself."""

import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

# Paths below /usr that stay where they are: other programs, and the time zones.
KEPT = "local|bin/(?:install|dtrace)|(?:share|lib|share/lib)/zoneinfo"


def move(text: str, lib: Path) -> str:
    """Say /usr/local for /usr, without Debian's architecture folders for libraries."""
    text = re.sub(r"/usr/lib/[a-z0-9_]+-linux-gnu\w*", "/usr/local/lib", text)
    text = text.replace("/usr/share/python-wheels/", f"{lib}/ensurepip/_bundled/")
    return re.sub(rf"/usr(?!/(?:{KEPT})\b)(?=[/'\"\s]|$)", "/usr/local", text, flags=re.MULTILINE)


def texts(lib: Path) -> list[Path]:
    """List the files that hold such paths."""
    prefix = lib.parent.parent
    return [
        *lib.glob("_sysconfig*"),
        *lib.glob("build-details*.json"),
        *lib.glob("config-*/Makefile"),
        *prefix.glob("lib/pkgconfig/*.pc"),
        *(path for path in prefix.glob("bin/*") if path.read_bytes()[:2] == b"#!"),
    ]


def loosen(library: Path) -> None:
    """Let a library that asks for symbols of a newer C library take their oldest version.

    Only termios is concerned: its speed functions got a new version in glibc 2.42. The layout is
    that of 64-bit ELF: a chain of needed files, each with a chain of needed versions.
    """
    data = bytearray(library.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    needs = next(section for section in sections if section[1] == 0x6FFFFFFE)  # SHT_GNU_verneed
    strings = sections[needs[6]][4]

    def name(offset: int) -> str:
        return data[strings + offset : data.index(0, strings + offset)].decode()

    file = needs[4]
    while True:
        _, versions, soname, first, following = struct.unpack_from("<HHIII", data, file)
        if name(soname).startswith("libc.so"):
            use_oldest(data, file + first, versions, name)
        if not following:
            break
        file += following
    library.write_bytes(data)


def use_oldest(data: bytearray, position: int, versions: int, name: Callable[[int], str]) -> None:
    """Rename the needed versions that this system's C library lacks to the oldest needed one."""
    entries = []  # (number, position, hash, name)
    for _ in range(versions):
        checksum, _, _, label, following = struct.unpack_from("<IHHII", data, position)
        entries.append((numbers(name(label)), position, checksum, label))
        position += following
    oldest = min(entries)
    for number, place, *_ in entries:
        if number > numbers(os.confstr("CS_GNU_LIBC_VERSION")):
            struct.pack_into("<I", data, place, oldest[2])
            struct.pack_into("<I", data, place + 8, oldest[3])


def numbers(version: str) -> tuple[int, ...]:
    """Read the numbers of a version, for comparison."""
    return tuple(map(int, re.findall(r"\d+", version)))


def main() -> None:
    """Rewrite everything below the library folder given."""
    lib = Path(sys.argv[1])
    for path in texts(lib):
        if not path.is_symlink():
            # Byte for byte: not every script is UTF-8.
            text = move(path.read_text(encoding="latin-1"), lib)
            path.write_text(text, encoding="latin-1")
    for library in lib.glob("lib-dynload/termios.*.so"):
        loosen(library)


main()

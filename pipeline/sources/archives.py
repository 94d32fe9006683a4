"""The bytes of a dropped file: read whole or not at all, taken out of gzip and zip.

What the bytes mean is the concern of `formats`.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pipeline.company.mistakes import suggest
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError

# What browsers, copying programs and spreadsheets call a file that is not whole or not one.
_TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download")
_TEMPORARY_PREFIXES = ("~$", ".")
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1


def is_temporary(name: str) -> bool:
    """Whether a file's name says that it is not whole yet, or only a program's own."""
    name = name.lower()
    return name.startswith(_TEMPORARY_PREFIXES) or name.endswith(_TEMPORARY_SUFFIXES)


def unpack(path: Path, name: str, members: str | None = None) -> Iterator[tuple[str, bytes]]:
    """What a file holds, each with the name that stands for it in messages.

    One pair, or one for each file of a zip archive; of these those that `members`, a glob, names.
    Raises NotReadyError where the file is written to meanwhile, BrokenContentError where it is cut
    short, PermanentSourceError where it cannot be read or no member is there.
    """
    content = _read_whole(path, name)
    suffix = path.suffix.lower()
    if suffix == ".zip":
        yield from _unzip(content, name, members)
        return
    try:
        yield name, gzip.decompress(content) if suffix == ".gz" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(name, error) from error


def _read_whole(path: Path, name: str) -> bytes:
    try:
        before = path.stat()
        content = path.read_bytes()
        after = path.stat()
    except FileNotFoundError:
        raise PermanentSourceError(f"{name}: found no such file") from None
    except OSError as error:
        raise PermanentSourceError(f"{name}: cannot be read ({error.strerror})") from error
    # A change of its name or of its rights does no harm: only what it holds counts.
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotReadyError(
            f"{name}: it was written to while it was read",
            next_step="run again once it is whole; a program that writes slowly should write"
            " under another name, such as x.csv.part, and rename the file at the end",
        )
    return content


def _unzip(content: bytes, name: str, members: str | None) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {_member_name(member): member for member in archive.infolist()}
            wanted = [
                told
                for told, member in found.items()
                if not member.is_dir() and _is_wanted(told, members)
            ]
            if not wanted:
                raise PermanentSourceError(
                    f"{name}: found no file '{members or '*'}' in it,"
                    f" {suggest(members or '', found)}",
                    next_step="check `members` of this table in sources.yml",
                )
            for told in sorted(wanted):
                if found[told].flag_bits & _ENCRYPTED:
                    raise PermanentSourceError(
                        f"{name}/{told}: it is locked with a password",
                        next_step="export without a password; the folder's rights guard the file",
                    )
                yield f"{name}/{told}", archive.read(found[told])
    except (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise _broken(name, error) from error


def _member_name(member: zipfile.ZipInfo) -> str:
    """The member's name: Windows writes it in GBK and does not say so."""
    if member.flag_bits & _UTF8_NAME:
        return member.filename
    written = member.filename.encode("cp437")
    for encoding in ("utf-8", "gb18030"):
        try:
            return written.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _is_wanted(told: str, members: str | None) -> bool:
    path = PurePosixPath(told)
    if path.parts[0] == "__MACOSX" or is_temporary(path.name):
        return False
    return members is None or fnmatchcase(told, members) or fnmatchcase(path.name, members)


def _broken(name: str, error: Exception) -> BrokenContentError:
    return BrokenContentError(
        f"{name}: the compressed file is broken or cut short ({error})",
        next_step="fetch or export the file again; nothing of it was landed",
    )

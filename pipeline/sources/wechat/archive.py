"""The files of WeChat Pay, kept as they were downloaded: WeChat gives them out for three months.

Under `<data>/bills/<merchant>/`, one file per day, kind and content, written once and never changed
or removed by this project: they are vouchers, and how long vouchers are kept is the company's
affair. They bear openids and names of applicants as WeChat writes them, so only the owner may read
them.
"""

import hashlib
import os
import tempfile
from datetime import date
from pathlib import Path

from pipeline.errors import BrokenContentError
from pipeline.sources.wechat.statement import GZIP_MAGIC, unzip

ZIPPED, PLAIN, NO_TRADE = ".csv.gz", ".csv", ".none"


class BillArchive:
    """The files of one merchant.

    A file is named by the SHA-256 of its text: the same bill, compressed at another time, is one.
    """

    def __init__(self, data: Path, merchant_id: str) -> None:
        self.folder = data / "bills" / merchant_id

    def keep(self, day: date, kind: str, file: bytes, text: bytes) -> None:
        """Keep a file whose digest and totals were found right; `text` is what is inside it."""
        self._write(day, kind, file, text, ZIPPED if file.startswith(GZIP_MAGIC) else PLAIN)

    def keep_empty(self, day: date, kind: str) -> None:
        """Keep that WeChat Pay said that there is no bill, since there was no trade."""
        self._write(day, kind, b"", b"", NO_TRADE)

    def find(self, day: date, kind: str) -> bytes | None:
        """The text of the day's bill, empty for a day without trade; None where nothing is kept.

        Of several the newest, and a bill before a day without one. Raises BrokenContentError where
        the file is no longer what was kept.
        """
        kept = sorted(
            self.folder.glob(f"{day}.{kind}.*"),
            key=lambda path: (path.suffix != NO_TRADE, path.stat().st_mtime_ns),
        )
        return _read(kept[-1]) if kept else None

    def _write(self, day: date, kind: str, file: bytes, text: bytes, suffix: str) -> None:
        digest = hashlib.sha256(text).hexdigest()
        if next(self.folder.glob(f"{day}.{kind}.{digest}.*"), None) is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # A name that `find` does not look for, until all of it is on disk; mkstemp lets only the
        # owner read.
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as writing:
                writing.write(file)
                writing.flush()
                os.fsync(writing.fileno())
            Path(temporary).replace(self.folder / f"{day}.{kind}.{digest}{suffix}")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _read(path: Path) -> bytes:
    text = unzip(path.read_bytes(), name=str(path))[-1]
    digest = path.name.split(".")[2]
    if hashlib.sha256(text).hexdigest() != digest:
        raise BrokenContentError(
            f"{path}: found content with another SHA-256 than its name says",
            next_step="put the file back from a backup; where the day is younger than three"
            " months, delete it and run the day again",
        )
    return text

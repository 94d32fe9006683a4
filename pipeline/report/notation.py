"""How the report writes numbers, money, days and instants, in Chinese and in English."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FEN_PER_YUAN = 100
SHOWN_KEY_DIGITS = 4


@dataclass(frozen=True)
class Words:
    """One text in both languages of the report."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.zh if self.zh == self.en else f"{self.zh} / {self.en}"

    def __add__(self, other: "Words | str") -> "Words":
        tail = other if isinstance(other, Words) else Words(other, other)
        return Words(self.zh + tail.zh, self.en + tail.en)


def write_count(number: int) -> str:
    """1234 as `1,234`, with a true minus sign."""
    return f"{number:,}".replace("-", "−")


def write_percent(rate: float | None, *, decimals: int = 1) -> str:
    """A rate in 0..1 as a percentage; never 100 % or 0 % by rounding alone."""
    if rate is None:
        return "–"
    nearest = round(rate * 100, decimals)
    step = 10**-decimals
    if nearest >= 100 and rate < 1:
        nearest = 100 - step
    if nearest <= 0 and rate > 0:
        nearest = step
    return f"{nearest:.{decimals}f}%"


def write_interval(low: float, high: float) -> str:
    """Two bounds in 0..1 as `79.6–81.0%`."""
    return f"{write_percent(low)[:-1]}–{write_percent(high)}"


def write_money(fen: int) -> Words:
    """Money rounded for reading: 万 and 亿 in Chinese, K and M in English."""
    sign, yuan = ("−" if fen < 0 else ""), abs(fen) / FEN_PER_YUAN
    return Words(
        sign + _scale(yuan, ((1e8, " 亿"), (1e4, " 万"))),
        sign + _scale(yuan, ((1e9, "B"), (1e6, "M"), (1e4, "K"))),
    )


def _scale(yuan: float, units: tuple[tuple[float, str], ...]) -> str:
    for size, unit in units:
        if yuan >= size:
            # "K" counts thousands, but 9,999 reads better than 10.0K: it starts at ten thousand.
            scaled = yuan / (1e3 if unit == "K" else size)
            return f"¥{scaled:,.2f}{unit}" if scaled < 10 else f"¥{scaled:,.1f}{unit}"
    return f"¥{yuan:,.0f}" if yuan >= 100 else f"¥{yuan:,.2f}"


def write_fen(fen: int | None) -> str:
    """Money to the fen, by integer arithmetic alone: 123456 as `¥1,234.56`."""
    if fen is None:
        return "–"
    yuan, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{'−' if fen < 0 else ''}¥{yuan:,}.{rest:02d}"


def write_day(day: date) -> Words:
    """A business day without its year."""
    return Words(f"{day.month} 月 {day.day} 日", f"{day.day} {MONTHS[day.month - 1]}")


def write_period(first: date, last: date) -> Words:
    """The business days from `first` to `last`, both included, with the year once."""
    if first == last:
        return Words(f"{last.year} 年 ", "") + write_day(last) + Words("", f" {last.year}")
    if first.year != last.year:
        return Words(f"{first} 至 {last}", f"{first} to {last}")
    return Words(
        f"{first.year} 年 {write_day(first).zh}至 {write_day(last).zh}",
        f"{write_day(first).en} to {write_day(last).en} {last.year}",
    )


def write_instant(instant: datetime | None) -> str:
    """An instant by the Shanghai clock, to the minute."""
    return f"{instant.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if instant else "–"


def write_cases(number: int) -> Words:
    """A number of business cases."""
    written = write_count(number)
    return Words(f"{written} 单", f"{written} case" if number == 1 else f"{written} cases")


def mask_key(key: str | None) -> str:
    """The tail of a business key: enough to recognise a row, too little to look up a person."""
    if not key:
        return "–"
    number = key.rpartition(":")[2]
    return "***" + number[-min(SHOWN_KEY_DIGITS, len(number) // 2) :] if number[1:] else "***"

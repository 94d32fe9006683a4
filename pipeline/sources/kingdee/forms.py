"""What a form of K3Cloud consists of: its head, its entries, and which field stands where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.sources.kingdee.api import Ask

HEAD = "FBillHead"
USUAL_KEY, USUAL_ENTRY_KEY = "FID", "FEntryID"


@dataclass(frozen=True)
class Form:
    """One form: the key of its head, and of each part its own key and its fields."""

    name: str
    key: str
    parts: Mapping[str, tuple[str, ...]]
    part_keys: Mapping[str, str]

    @cached_property
    def part_of(self) -> Mapping[str, str]:
        """The part in which a field stands, the head's own first."""
        ordered = sorted(self.parts, key=lambda part: part != HEAD)
        return {name: part for part in reversed(ordered) for name in self.parts[part]}

    @property
    def names(self) -> list[str]:
        """Every field that a query may ask for."""
        return [self.key, *self.part_of, *(self.entry_key(part) for part in self.parts)]

    def entry_key(self, part: str) -> str:
        """How a query names the key of an entry."""
        return f"{part}_{self.part_keys[part]}"

    def beyond_head(self, paths: Iterable[str]) -> list[str]:
        """The fields among some that do not stand in the head."""
        return [path for path in paths if self.part_of.get(first_step(path), HEAD) != HEAD]


def read_form(ask: Ask, name: str) -> Form:
    """The form as K3Cloud itself describes it."""
    reply = ask("QueryBusinessInfo", {"FormId": name})
    try:
        told = reply["Result"]["NeedReturnData"]
        entries = told["Entrys"]
        return Form(
            name=name,
            key=told.get("PkFieldName") or USUAL_KEY,
            parts={
                part["Key"]: tuple(of["Key"] for of in part.get("Fields") or ()) for part in entries
            },
            part_keys={
                part["Key"]: part.get("EntryPkFieldName") or USUAL_ENTRY_KEY for part in entries
            },
        )
    except (KeyError, TypeError, AttributeError):
        raise BrokenContentError(
            f"QueryBusinessInfo of {name}: found no Entrys with their Fields in the reply",
            next_step="check base_url: does K3Cloud answer there?",
        ) from None


def refuse_repeated(form: Form, entry: str | None, paths: Iterable[str]) -> PermanentSourceError:
    """The error of a bill, or an entry, that came more than once: another entry multiplied it."""
    grain = entry or "bill"
    others = [path for path in form.beyond_head(paths) if form.part_of[first_step(path)] != entry]
    named = ", ".join(f"{path} of {form.part_of[first_step(path)]}" for path in others)
    return PermanentSourceError(
        f"{form.name}: one {grain} came more than once, joined to each of the entries of"
        f" {named or 'another part'}: amounts would multiply",
        next_step="leave these fields out, or name their entry under `each` in sources.yml for one"
        " row per entry",
    )


def first_step(path: str) -> str:
    """The field that a path such as `FCustId.FNumber` begins with."""
    return path.split(".")[0]

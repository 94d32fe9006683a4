"""The examples in docs/connectors, loaded as a company: what the pages say is what is tested."""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.company import Company, load_company

PAGES = Path(__file__).parents[1] / "docs" / "connectors"
KEY = "k" * 32


def example(page: str) -> str:
    """The `sources.yml` that a page shows."""
    found = re.search(
        r"^## sources\.yml\n```yaml\n(.*?)^```", (PAGES / f"{page}.md").read_text(), re.M | re.S
    )
    assert found, f"{page}.md shows no sources.yml"
    return found[1]


def write_company(
    folder: Path,
    sources: str,
    *,
    secrets: Mapping[str, str],
    first_day: str = "2026-10-01",
    last_day: str | None = None,
) -> Company:
    """A company with these sources. Raises ConfigurationError for their mistakes."""
    folder.mkdir(exist_ok=True)
    until = f"last_day: {last_day}\n" if last_day else ""
    (folder / "company.yml").write_text(f"name: 小店\nfirst_day: {first_day}\n{until}")
    (folder / "sources.yml").write_text(sources)
    environment = {"BIHUAN_HASH_KEY": KEY, **secrets}
    return load_company(folder, data=folder / "data", environment=environment)

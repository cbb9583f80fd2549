"""Links between the pages: each leads to a file that exists, and to a heading that the file has."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "benchmarks/RESULTS.md",
    *sorted(ROOT.glob("data/**/README.md")),
]
FENCE = re.compile(r"^(```+).*?^\1", flags=re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
EXTERNAL = re.compile(r"[a-z]+:")


def links(text: str) -> list[str]:
    prose = INLINE_CODE.sub("", FENCE.sub("", text))
    return [unquote(link) for link in LINK.findall(prose) if not EXTERNAL.match(link)]


def anchors(text: str) -> set[str]:
    """The anchors of all headings, by GitHub's rule: lower case, spaces become hyphens, punctuation goes."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text), flags=re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def broken(page: Path, text: str) -> list[str]:
    found = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        heading_missing = (
            anchor
            and target.suffix == ".md"
            and target.is_file()
            and anchor not in anchors(text if target == page else target.read_text())
        )
        if not target.exists() or heading_missing:
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


def test_broken_links_are_found() -> None:
    text = """# One: `two` (three)
```
# no heading
[no link](x.md)
```
[a](#one-two-three) [b](#two) [c](none.md) `[no link](e)` ![d](docs/none.png) [f](http://none) [g](docs/training.md#no)
"""
    assert anchors(text) == {"one-two-three"}
    assert broken(ROOT / "README.md", text) == ["#two", "none.md", "docs/none.png", "docs/training.md#no"]


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r"[\w./-]+\.md", yaml.dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(menu) == sorted(str(page.relative_to(ROOT)) for page in PAGES)


def test_every_test_that_a_page_names_exists() -> None:
    page = (ROOT / "docs/reliability.md").read_text()
    named = set(re.findall(r"`((?:dlmap|mslique)/[\w/]+\.py)`", page))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_file()] == []

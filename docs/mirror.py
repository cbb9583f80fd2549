"""The site mirrors the repository: README.md is its first page, and every page has the place that its file has.

So a relative link works on the site as it works in a checkout. mkdocs alone would take pages of docs/ only, and call
links out of docs/ broken. Files of other kinds that a page links to (pictures, configurations, sources) are copied.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

PAGES = ("README.md", "docs/*.md", "benchmarks/*.md", "data/**/README.md")
LINK = re.compile(r"\]\(([^()\s#]+)[^()\s]*\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors of headings as GitHub makes them."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the theme, our pages, and what they link to."""
    root = Path(config.config_file_path).parent.resolve()
    pages = {path for pattern in PAGES for path in root.glob(pattern)}
    linked = {(page.parent / unquote(link)).resolve() for page in pages for link in LINK.findall(page.read_text())}
    ours = pages | {path for path in linked if path.is_file() and path.is_relative_to(root)}
    kept = [file for file in files if file.src_dir != config.docs_dir]
    generated = [File.generated(config, str(p.relative_to(root)), abs_src_path=str(p)) for p in sorted(ours)]
    return Files([*kept, *generated])

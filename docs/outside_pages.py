"""A hook of mkdocs: documents that stand elsewhere in the project become pages of the site.

The links to and from them are written as they work in the repository, and rewritten here.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# where a document stands in the project → the page that it becomes
PAGES = {
    "mlflow/README.md": "team-server.md",
    "datasets/README.md": "sample.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents from outside of ``docs``."""
    for place, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the project into links between pages."""
    places = {page: place for place, page in PAGES.items()}
    place = places.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def rewritten(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(place), link[1]))
        return f"]({PAGES.get(target) or posixpath.relpath(target, 'docs')}"

    return _LINK.sub(rewritten, markdown)

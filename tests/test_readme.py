"""What the README and the other pages say is there, and short."""

import re

import pytest

from dhm_plugin import __version__
from pages import PAGES
from paths import ROOT

README = ROOT / 'README.md'
LINKED = [*PAGES, *ROOT.glob('configs/d*/README.md'), ROOT / 'CHANGELOG.md']


def slug(heading):
    """The anchor that GitHub makes of a heading."""
    return re.sub(r'[^\w -]', '', heading.strip().lower()).replace(' ', '-')


def test_the_readme_has_150_lines_at_most():
    assert len(README.read_text().splitlines()) <= 150


def test_the_citation_is_of_this_version():
    assert f'version: {__version__}\n' in (ROOT / 'CITATION.cff').read_text()


@pytest.mark.parametrize('page', LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
        path, _, anchor = target.partition('#')
        if path.startswith('http'):
            continue
        found = page.parent / path if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r'^#+ (.+)$', found.read_text(), re.M)
            assert anchor in map(slug, headings), target


@pytest.mark.parametrize('page', LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_is_there(page):
    names = r'\b(?:configs|tools|tests|docs|dhm_plugin)/[\w/.-]*\.(?:py|sh|svg|md)\b'
    paths = set(re.findall(rf'(?<![\w/.]){names}', page.read_text()))
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_every_page_is_named_in_the_readme():
    for page in (*ROOT.glob('docs/*'), ROOT / 'CONTRIBUTING.md', ROOT / 'CHANGELOG.md'):
        assert f'({page.relative_to(ROOT)})' in README.read_text()


def test_the_equations_parts_are_where_it_says():
    rows = re.findall(
        r'^\|.*\| `(\w+)` in \[[^]]+\]\((.+)\) \|$', README.read_text(), re.M
    )
    assert len(rows) == 5
    for function, path in rows:
        assert re.search(rf'^ *def {function}\(', (ROOT / path).read_text(), re.M)

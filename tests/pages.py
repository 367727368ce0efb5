"""The pages of the documentation, and what stands in them."""

import re
import shlex
from dataclasses import dataclass

from paths import ROOT

PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'configs/studies/README.md',
    *sorted(ROOT.glob('docs/*.md')),
]


def blocks(page, language):
    """The fenced blocks of a language."""
    return re.findall(rf'^```{language}\n(.*?)^```$', page.read_text(), re.M | re.S)


@dataclass
class Command:
    """A command line of a page.

    Attributes:
        page (str): Where it stands.
        words (list[str]): Without the variables before it.
        variables (list[str]): Their names.
        needs (str): What it is marked with: ``# needs ...``, before or behind it.
    """

    page: str
    words: list[str]
    variables: list[str]
    needs: str

    @property
    def script(self):
        """The file that it runs, if it is one of ours."""
        word = self.words[self.words[0] == 'python']
        return ROOT / word if (ROOT / word).is_file() else None

    @property
    def name(self):
        """Of what is run, with its subcommand, if it has any."""
        if self.script is None:
            return ' '.join(self.words[:2])
        subcommand = self.words[2:3] if self.script.name == 'benchmark.py' else []
        return ' '.join([self.script.name, *subcommand])

    @property
    def options(self):
        """Those that it has, without their values."""
        return sorted({w.partition('=')[0] for w in self.words if w.startswith('-')})

    def __str__(self):
        return f'{self.page}: {shlex.join(self.words)}'


def commands():
    """All command lines of all pages."""
    for page in PAGES:
        for block in blocks(page, 'shell'):
            needs = ''
            for line in block.replace('\\\n', ' ').splitlines():
                line, _, comment = line.partition('#')
                mark = re.match(r' needs (.+)', comment)
                needs = mark.group(1) if mark else needs
                words = shlex.split(line)
                variables = []
                while words and re.match(r'[A-Z_]+=', words[0]):
                    variables.append(words.pop(0).partition('=')[0])
                if words:
                    name = page.relative_to(ROOT).as_posix()
                    yield Command(name, words, variables, needs)
                    needs = ''

"""What a commit and a push start is what the Makefile and continuous integration run."""

import os
import re

import yaml

from paths import ROOT


def test_the_workflow_runs_continuous_integration():
    workflow = yaml.safe_load((ROOT / '.github/workflows/ci.yml').read_text())
    (job,) = workflow['jobs'].values()
    assert [step['run'] for step in job['steps'] if 'run' in step] == ['.ci/run']
    assert os.access(ROOT / '.ci/run', os.X_OK)


def test_pre_commit_runs_the_lint_of_the_makefile():
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    hooks = [hook for repo in config['repos'] for hook in repo['hooks']]
    ours = {re.match(r'\.venv/bin/(ruff \w+)', hook['entry']).group(1) for hook in hooks}
    makefile = (ROOT / 'Makefile').read_text()
    assert ours == set(re.findall(r'\$\(BIN\)/(ruff \w+)', makefile))

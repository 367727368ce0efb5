"""Package of dhm_plugin; the extras choose the OpenMMLab stack it runs on."""

import re
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
version = re.search(
    r"__version__ = '(.+)'", (root / 'dhm_plugin' / 'version.py').read_text()
).group(1)

setup(
    name='dhm_plugin',
    version=version,
    description='Dynamic Hierarchical Mimicking (CVPR 2020) for MMPretrain',
    long_description=(root / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['dhm_plugin', 'dhm_plugin.*']),
    install_requires=['torch>=2.6', 'torchvision', 'numpy', 'tensorboard'],
    extras_require={
        # The stack that most users have. Install one of the two, never both:
        # they share their import names.
        'openmmlab': [
            'mmpretrain>=1.2,<1.3',
            'mmengine>=0.10.7,<0.11',
            'mmcv-lite>=2.0.1,<2.3',
        ],
        # Its maintained fork. Build it with MMCV_WITH_OPS=0 in the environment.
        'onedl': [
            'onedl-mmpretrain>=1.3.6,<1.4',
            'onedl-mmengine>=0.10.12,<0.11',
            'onedl-mmcv>=2.3.6,<2.4',
            'opencv-python',
        ],
        'demo': ['scikit-learn', 'matplotlib'],
        'test': ['pytest', 'pytest-xdist', 'ruff', 'scikit-learn', 'matplotlib'],
    },
)

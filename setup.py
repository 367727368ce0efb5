"""Package of dhm_plugin; the extras choose the OpenMMLab stack it runs on."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

root = Path(__file__).parent
version = re.search(
    r"__version__ = '(.+)'", (root / 'dhm_plugin' / 'version.py').read_text()
).group(1)

# What MIM expects in .mim of the installed package; MANIFEST.in says which files.
carried = ('configs', 'tools', 'model-index.yml')


class BuildWithMIM(build_py):
    """Carry configs, tools and model index in ``.mim`` of the build folder."""

    def run(self) -> None:
        """Build the package, then copy them beside its modules."""
        super().run()
        if self.editable_mode:  # the checkout is used in place
            return
        target = Path(self.build_lib) / 'dhm_plugin' / '.mim'
        # What an earlier build has left there may be gone since.
        shutil.rmtree(target, ignore_errors=True)
        self.run_command('egg_info')
        for name in self.get_finalized_command('egg_info').filelist.files:
            if Path(name).parts[0] in carried:
                copy = target / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, copy)  # with its executable bit


setup(
    name='dhm_plugin',
    version=version,
    cmdclass={'build_py': BuildWithMIM},
    description='Dynamic Hierarchical Mimicking (CVPR 2020) for MMPretrain',
    long_description=(root / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['dhm_plugin', 'dhm_plugin.*']),
    package_data={'dhm_plugin': ['py.typed']},
    install_requires=[
        'torch>=2.6',
        'torchvision',
        'numpy',
        'tensorboard',
        'simplejpeg',
        'isal',
        'safetensors',
    ],
    extras_require={
        # The stack that most users have. Install one of the two, never both:
        # they share their import names.
        'openmmlab': [
            'mmpretrain>=1.2,<1.3',
            'mmengine>=0.10.7,<0.11',
            'mmcv-lite>=2.0.1,<2.3',
            # mmengine 0.10.7 reads `mmpretrain::` paths with pkg_resources, which is
            # gone from 82 on.
            'setuptools<82',
        ],
        # Its maintained fork. Build it with MMCV_WITH_OPS=0 in the environment.
        'onedl': [
            'onedl-mmpretrain>=1.3.6,<1.4',
            'onedl-mmengine>=0.10.12,<0.11',
            'onedl-mmcv>=2.3.6,<2.4',
            'opencv-python',
        ],
        # For MMPretrain's vis_cam.py, whose option use_cuda 1.5 does not know.
        'cam': ['grad-cam<1.5'],
        # Of the CUDA that PyTorch comes with; nvidia-dali-cuda120 for one of CUDA 12.
        'dali': ['nvidia-dali-cuda130; sys_platform == "linux"'],
        'demo': ['scikit-learn', 'scipy', 'matplotlib'],
        'study': ['scipy', 'matplotlib'],
        'export': ['timm', 'onnx', 'onnxscript', 'onnxruntime'],
        'test': [
            'setuptools>=70.1',
            'pytest',
            'pytest-cov',
            'pytest-xdist',
            'ruff',
            'scikit-learn',
            'scipy',
            'matplotlib',
        ],
    },
)

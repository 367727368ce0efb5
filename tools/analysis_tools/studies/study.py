"""A study: methods, the choice of their settings, and the trainings that they need."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dhm_plugin.checkpoints.export.config import load_config

from .results import values
from .training import Training

# A value of each tuned setting, by its name as of ``--cfg-options``.
Point = dict[str, object]

_KEYS = {
    'methods': dict,
    'iterations': int,
    'options': dict,
    'grid': dict,
    'tuning_seeds': list,
    'seeds': list,
    'claims': list,
    'title': str,
}
_METHOD_KEYS = ({'config'}, {'config', 'iterations'}, {'config', 'costs'})


@dataclass(frozen=True)
class Study:
    """Configs that are compared, everything else equal.

    Args:
        folder (Path): Of its CSV files and trainings.
        configs (dict[str, Path]): Name of each method to its config; the first is what
            the others are compared with.
        seeds (Sequence[int]): Of the final runs.
        options (dict): Changes of every config. Defaults to none.
        consistency (int): As of :class:`Training`. Defaults to 0.
        iterations (int): Of every method. Defaults to 0: as long as the configs say.
        lengths (dict[str, int]): Name of a method to its own iterations. Defaults to
            none.
        costs (dict[str, str]): Name of a method to that of another one whose FLOPs it
            gets, in the place of its iterations. Defaults to none.
        grid (dict[str, Sequence]): Name of each tuned setting to its values. Defaults to
            none: nothing is tuned.
        tuning_seeds (Sequence[int]): Of the tuning. Defaults to none.
        claims (Sequence[tuple[str, str]]): Pairs of methods; claimed is that the first
            differs from the second. Defaults to none.
        on_test (bool): Whether the final runs are measured on the test images, which the
            tuning never sees; else on the validation images. Defaults to False.
        title (str): Of its panel in a picture of several studies. Defaults to ``''``.
    """

    folder: Path
    configs: dict[str, Path]
    seeds: Sequence[int]
    options: dict = field(default_factory=dict)
    consistency: int = 0
    iterations: int = 0
    lengths: dict[str, int] = field(default_factory=dict)
    costs: dict[str, str] = field(default_factory=dict)
    grid: dict[str, Sequence] = field(default_factory=dict)
    tuning_seeds: Sequence[int] = ()
    claims: Sequence[tuple[str, str]] = ()
    on_test: bool = False
    title: str = ''

    @property
    def content(self) -> dict:
        """What is decided before the test images are read, as plain data.

        Returns:
            dict: The files of the configs by their names alone.
        """
        content = {
            'methods': {name: config.name for name, config in self.configs.items()},
            'costs': dict(self.costs),
            'options': dict(self.options),
            'iterations': self.iterations,
            'grid': {name: list(points) for name, points in self.grid.items()},
            'tuning_seeds': list(self.tuning_seeds),
            'seeds': list(self.seeds),
            'claims': [list(pair) for pair in self.claims],
        }
        # A choice that was frozen without them stays what it is.
        return content | ({'lengths': dict(self.lengths)} if self.lengths else {})

    @property
    def lengths_of_first(self) -> list[str]:
        """The methods that are the first one's network, in whatever length."""
        first, *_ = self.configs.values()
        return [name for name, config in self.configs.items() if config == first]

    @property
    def points(self) -> list[Point]:
        """All combinations of the grid's values, the first name's outermost."""
        return _points(self.grid)

    def tunings(self) -> list[Training]:
        """Give the trainings that the choice is made of, on the validation images.

        Returns:
            list[Training]: Every method with every point of the grid and every seed.

        Raises:
            ValueError: If the validation images of a config are its test images.
        """
        for config in dict.fromkeys(self.configs.values()):
            Training(config, 0, self.folder, self.options).check_held_out()
        lengths = self._lengths()
        folder = self.folder / 'tuning'
        return [
            self._training(method, seed, folder, point, lengths, tuning=True)
            for seed in self.tuning_seeds
            for method in self.configs
            for point in self.points
        ]

    def finals(self, chosen: Mapping[str, Point]) -> list[Training]:
        """Give the trainings that are compared.

        Args:
            chosen (Mapping[str, Point]): Of each method, the point of the grid.

        Returns:
            list[Training]: Every method with every seed.
        """
        lengths = self._lengths()
        return [
            self._training(method, seed, self.folder, chosen[method], lengths)
            for seed in self.seeds
            for method in self.configs
        ]

    def check_seeds(self, rows: Sequence[dict[str, str]], csv: Path) -> None:
        """Check that the final runs are of the seeds that the study lists.

        Args:
            rows (Sequence[dict[str, str]]): Of the final runs.
            csv (Path): Their file, for the error.

        Raises:
            ValueError: If one is not.
        """
        others = {int(r['seed']) for r in rows if r['config'] in self.configs}
        if others := sorted(others - {*self.seeds}):
            raise ValueError(
                f'{csv}: has rows of the seeds {others}, which the study does not list; '
                'what is shown are all rows of its seeds, and no other'
            )

    def means(self, rows: Sequence[dict[str, str]]) -> dict[str, list[float]]:
        """Give the mean accuracy of the main branch over the tuning's seeds.

        Args:
            rows (Sequence[dict[str, str]]): Of the tuning.

        Returns:
            dict[str, list[float]]: By method, of each of :attr:`points` in turn; in
            percent, NaN where a training diverged.

        Raises:
            ValueError: If a row is missing.
        """
        return {
            method: [self._mean(rows, method, point) for point in self.points]
            for method in self.configs
        }

    def _mean(self, rows: Sequence[dict[str, str]], method: str, point: Point) -> float:
        name = tuning_name(method, point)
        found = values(rows, name)
        missing = [seed for seed in self.tuning_seeds if seed not in found]
        if missing:
            raise ValueError(
                f'there is no row of {name}, seed {missing[0]}; train it with --tune'
            )
        return statistics.mean(found[seed] for seed in self.tuning_seeds)

    def choose(self, rows: Sequence[dict[str, str]]) -> dict[str, Point]:
        """Choose the point with the best mean accuracy of the main branch, a method each.

        Args:
            rows (Sequence[dict[str, str]]): Of the tuning.

        Returns:
            dict[str, Point]: By method; of equal ones the first in the grid's order. One
            with which a training diverged is chosen only if all are such.

        Raises:
            ValueError: If a row is missing.
        """
        chosen = {}
        for method, means in self.means(rows).items():
            means = [-math.inf if math.isnan(mean) else mean for mean in means]
            # Equal up to the rounding of a sum.
            best = max(range(len(means)), key=lambda i: round(means[i], 6))
            chosen[method] = self.points[best]
        return chosen

    def _lengths(self) -> dict[str, int]:
        """Tell the iterations of each method; 0 is the config's own."""
        lengths = dict.fromkeys(self.configs, self.iterations) | self.lengths
        for method, other in self.costs.items():
            ours, theirs = (
                Training(self.configs[name], 0, self.folder, self.options).step_flops()
                for name in (method, other)
            )
            lengths[method] = math.ceil(round(lengths[other] * theirs / ours, 6))
        return lengths

    def _training(
        self,
        method: str,
        seed: int,
        folder: Path,
        point: Point,
        lengths: Mapping[str, int],
        tuning: bool = False,
    ) -> Training:
        return Training(
            self.configs[method],
            seed,
            folder,
            {**self.options, **point},
            0 if tuning else self.consistency,
            name=tuning_name(method, point) if tuning else method,
            iterations=lengths[method],
            on_test=self.on_test and not tuning,
        )


def _points(grid: Mapping[str, Sequence]) -> list[Point]:
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def tuning_name(method: str, point: Point) -> str:
    """Name the rows of a method with a point of the grid.

    Args:
        method (str): Name of the method.
        point (Point): The values of the settings.

    Returns:
        str: The name, as that of a file.

    Examples:
        >>> tuning_name('dhm', {'optim_wrapper.optimizer.lr': 0.1})
        'dhm_lr0.1'
    """
    parts = [f'{key.rpartition(".")[-1]}{value}' for key, value in point.items()]
    return '_'.join([method, *parts])


def is_study(path: Path) -> bool:
    """Tell whether a file lists methods; else it is a config of one.

    Args:
        path (Path): The file.

    Returns:
        bool: Whether it is a study's.
    """
    return 'methods' in load_config(path)


def read_study(path: Path, folder: Path, consistency: int = 0) -> Study:
    """Read the file of a study.

    It has

    - methods (dict[str, dict]): The name of each method to a dict with its ``config``, a
      path from the file's folder; and if its length is another one, either its own
      ``iterations``, or ``costs``, the name of the method whose FLOPs it gets.
    - iterations (int): Length of all other trainings.
    - options (dict): Changes of every config, by names as of ``--cfg-options``. Optional.
    - grid (dict[str, list]): The tuned settings, by such names, and their values.
    - tuning_seeds (list[int]), seeds (list[int]): Of the tuning, and of the final runs.
    - claims (list[list[str]]): Pairs of methods that are claimed to differ. Optional.
    - title (str): What is trained on, for a picture of several studies; those that differ
      in the length alone have the same. Optional: the file's name.

    The tuning is measured on the ``val_dataloader`` of the configs, the final runs on
    their ``test_dataloader``.

    Args:
        path (Path): The file.
        folder (Path): As of :class:`Study`.
        consistency (int): As of :class:`Study`. Defaults to 0.

    Returns:
        Study: What it describes.

    Raises:
        ValueError: If something is missing, is of another type, or does not fit the
            rest; it names what.
    """
    found = load_config(path).to_dict()
    found = {'options': {}, 'claims': [], 'title': path.stem, **found}
    _check(path, found)
    methods = found['methods']
    return Study(
        folder,
        {name: path.parent / method['config'] for name, method in methods.items()},
        found['seeds'],
        found['options'],
        consistency,
        found['iterations'],
        {name: m['iterations'] for name, m in methods.items() if 'iterations' in m},
        {name: m['costs'] for name, m in methods.items() if 'costs' in m},
        found['grid'],
        found['tuning_seeds'],
        [tuple(pair) for pair in found['claims']],
        on_test=True,
        title=found['title'],
    )


def _check(path: Path, found: dict) -> None:
    """Refuse what is no study."""
    for key in _KEYS.keys() - found.keys():
        raise ValueError(f'{path}: has no {key}')
    for key, value in found.items():
        if key not in _KEYS:
            raise ValueError(f'{path}: {key} is none of {", ".join(_KEYS)}')
        if not isinstance(value, _KEYS[key]):
            kind = _KEYS[key].__name__
            raise ValueError(f'{path}: {key}={value!r}; it must be of type {kind}')
    if found['iterations'] < 1:
        raise ValueError(f'{path}: iterations={found["iterations"]}; must be at least 1')
    methods = found['methods']
    if not methods:
        raise ValueError(f'{path}: methods={methods}; there must be some')
    for name, method in methods.items():
        where = f'{path}: methods[{name!r}]'
        if not isinstance(method, dict) or {*method} not in _METHOD_KEYS:
            raise ValueError(
                f'{where} is {method!r}; it must be a dict with config and, for another '
                'length, either iterations or costs'
            )
        length = method.get('iterations', 1)
        if not isinstance(length, int) or length < 1:
            raise ValueError(
                f'{where} has iterations={length!r}; it must be an integer, at least 1'
            )
        config = path.parent / str(method['config'])
        if not config.is_file():
            raise ValueError(f'{where}: there is no {config}')
    own = [name for name, method in methods.items() if 'costs' not in method]
    for name, method in methods.items():
        if name not in own and method['costs'] not in own:
            raise ValueError(
                f'{path}: methods[{name!r}] costs {method["costs"]!r}, which must be a '
                'method without costs'
            )
    for pair in found['claims']:
        listed = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not listed or not all(name in [*methods] for name in pair):
            raise ValueError(f'{path}: claims has {pair!r}, which is no pair of methods')
    for key in ('seeds', 'tuning_seeds'):
        seeds = found[key]
        integers = all(isinstance(seed, int) and seed >= 0 for seed in seeds)
        if not integers or not seeds or len({*seeds}) < len(seeds):
            raise ValueError(
                f'{path}: {key}={seeds}; there must be some, integers from 0 on, none '
                'twice'
            )
    both = {*found['seeds']} & {*found['tuning_seeds']}
    if both:
        raise ValueError(
            f'{path}: the tuning has used the seeds {sorted(both)}; the final runs need '
            'new ones'
        )
    if not found['grid']:
        raise ValueError(f'{path}: grid={{}}; there must be a setting to tune')
    for name, points in found['grid'].items():
        different = {*map(repr, points)} if isinstance(points, list) else ()
        if not different or len(different) < len(points):
            raise ValueError(
                f'{path}: grid[{name!r}]={points!r}; it must be a list of values, none '
                'twice'
            )
    points = _points(found['grid'])
    names = [tuning_name(method, point) for method in methods for point in points]
    for number, name in enumerate(names):
        if '/' in name or name in names[:number]:
            raise ValueError(
                f'{path}: methods and grid name rows and folders, such as {name!r}; '
                'all names must differ, and have no slash'
            )

"""Compares two configs, seed by seed."""

import statistics

from scipy import stats


def paired_difference(
    ours: dict[int, float], theirs: dict[int, float]
) -> tuple[float, float, int]:
    """Compare two configs on the seeds that both have.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        tuple[float, float, int]: Mean difference; half the width of its 95% confidence
        interval, by Student's t of paired samples, infinite for one seed; number of
        seeds.

    Raises:
        ValueError: If they share no seed.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise ValueError('the two configs have no seed in common')
    differences = [ours[seed] - theirs[seed] for seed in shared]
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return mean, float('inf'), 1
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return mean, stats.t.ppf(0.975, len(differences) - 1) * error, len(differences)

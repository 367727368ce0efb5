from dataclasses import dataclass
from pathlib import Path

from studies.training import Training
from studies.work import Work

PLAIN = Path('plain.py')


@dataclass(frozen=True)
class Begun(Training):
    """A training of 100 steps; one of DHM costs three of plain."""

    length = 100

    def step_flops(self):
        return 3.0 if self.name == 'dhm' else 1.0

    def reach(self, step):
        self.work_dir.mkdir(parents=True, exist_ok=True)
        (self.work_dir / 'last_checkpoint').write_text(f'iter_{step}.pth')


def test_work_is_counted_in_flops_from_where_it_began(tmp_path):
    plain, dhm = (Begun(PLAIN, 0, tmp_path, name=name) for name in ('plain', 'dhm'))
    plain.reach(40)
    work = Work([plain, dhm])
    assert work.total == 60 + 300
    plain.reach(50)
    # Nobody knows yet how fast DHM is.
    assert work.done([plain, dhm]) == 0
    dhm.reach(20)
    assert work.done([plain, dhm]) == 10 + 60
    # It diverged at step 50.
    work.end(plain)
    assert work.done([dhm]) == 60 + 60
    # What was damaged is trained again.
    dhm.reach(0)
    assert work.done([dhm]) == 60
    work.end(dhm)
    assert work.done([]) == work.total

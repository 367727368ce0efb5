import re

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from dhm_plugin import BranchChartsHook
from dhm_plugin.engine.hooks.branch_charts_hook import CHARTS


def test_one_chart_for_all_branches(train, tmp_path):
    hook = {'default_hooks.consistency': dict(type='ConsistencyHook', interval=1)}
    evaluation = {
        'model.neck.eval_branches': True,
        'val_evaluator': [
            dict(type='Accuracy'),
            dict(type='BranchAccuracy'),
            dict(type='BranchDivergences'),
            dict(type='Calibration'),
        ],
    }
    train('run', **hook, **evaluation)
    (folder,) = tmp_path.glob('run/*/vis_data')
    events = EventAccumulator(str(folder)).Reload()
    (event,) = events.Tensors('custom_scalars__config__')
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    (category,) = layout.category
    assert [chart.title for chart in category.chart] == list(CHARTS)
    numbers = {}
    for chart in category.chart:
        (pattern,) = chart.multiline.tag
        tags = [tag for tag in events.Tags()['scalars'] if re.match(pattern, tag)]
        numbers[chart.title] = len(tags)
    assert numbers == {
        'cross-entropy': 3,
        'mimicking loss': 3,
        'validation accuracy (%)': 4,
        'validation cross-entropy': 4,
        'validation divergence, teacher to student': 6,
        'divergence, teacher to student': 6,
        'cosine of gradients, whole loss': 4,
        'cosine of gradients, cross-entropy': 4,
        'CKA of features': 3,
    }


def test_the_first_process_alone_writes_the_layout(monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda group=None: 1)
    BranchChartsHook().before_train(None)

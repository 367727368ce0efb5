from mmengine import Config

from studies.settings import differences, settings_of


def test_settings_are_what_is_trained_with():
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=3),
            param_scheduler=[dict(type='LinearLR', betas=(0.9, 0.99))],
            default_hooks=dict(logger=dict(interval=1), timer=dict(type='T')),
            randomness=dict(seed=3),
            log_level='INFO',
        )
    )
    assert settings_of(cfg) == {
        'train_cfg': {'max_epochs': 3},
        'param_scheduler': [{'type': 'LinearLR', 'betas': [0.9, 0.99]}],
        'default_hooks': {'timer': {'type': 'T'}},
    }


def test_differences_are_named_as_options_are():
    assert differences({'a': (1, 2), 'b': {}}, {'b': {}, 'a': [1, 2]}) == ''
    found = {'hooks': [{'type': 'A'}, {'n': 1}], 'betas': [1, 2], 'empty': []}
    asked = {'hooks': [{'type': 'A'}, {'n': 2}], 'betas': [1, 3], 'empty': [{'x': None}]}
    assert differences(found, asked).splitlines() == [
        '  hooks.1.n: it has 1, asked is 2',
        '  betas: it has [1, 2], asked is [1, 3]',
        '  empty: it has [], asked is nothing',
        '  empty.0.x: it has nothing, asked is None',
    ]
    many = differences({'0': 0}, {str(number): 0 for number in range(31)}).splitlines()
    assert (len(many), many[-1]) == (9, '  and 22 more')

import pytest

from paths import ROOT

GET_FLOPS = ROOT / 'tools/analysis_tools/get_flops.py'


def test_both_networks_of_one_channel(inline):
    """Seen: MMPretrain's tool crashes, it takes three channels for granted."""
    output = inline(GET_FLOPS, ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py')
    assert output.splitlines()[-4:] == [
        '| --- | --- | --- |',
        '| in training | 1.23 M | 6.98 M |',
        '| deployed | 0.27 M | 2.54 M |',
        'on an image of 1x8x8 (channels, height, width)',
    ]


def test_the_deployed_network_has_the_plain_parameters(inline):
    """Seen: MMPretrain's tool gives the FLOPs of one with the parameters of the other."""
    output = inline(GET_FLOPS, ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py')
    assert '| in training | 53.48 M | 3.93 G |\n| deployed | 11.69 M | 1.82 G |' in output
    plain = ROOT / 'configs/plain/resnet18_8xb32_in1k.py'
    output = inline(GET_FLOPS, plain, '--shape', 3, 112, 112)
    assert '| deployed | 11.69 M | 486.63 M |' in output


def test_names_what_is_wrong(inline, tmp_path):
    config = ROOT / 'configs/plain/resnet18_8xb32_in1k.py'
    output = inline(GET_FLOPS, config, '--shape', 1, 32, 32, code=1)
    assert f'get_flops.py: {config}: ' in output
    assert 'to have 3 channels, but got 1' in output
    assert 'Traceback' not in output


@pytest.mark.parametrize('script', ['get_flops.py', 'print_side_branches.py'])
@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            "data_preprocessor = dict(crop_size=8)\nmodel = dict(type='NoSuchModel')",
            'NoSuchModel is not in the mmpretrain::model',
        ),
        ('model = dict(', 'never closed'),
        ('log_level = 1', "no attribute 'model'"),
    ],
)
def test_a_config_that_is_none_ends_in_one_line(script, text, message, inline, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(text)
    output = inline(GET_FLOPS.with_name(script), config, code=1)
    assert f'{script}: {config}: ' in output
    assert message in output
    assert 'Traceback' not in output

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections import Counter

import mmcv
import numpy as np
import pytest
from mmengine import fileio
from mmpretrain.datasets import ImageNet
from PIL import Image, ImageOps
from torchvision.transforms import functional

import packing
from dhm_plugin import PackedImageNet
from dhm_plugin.datasets.packed.index import PackError
from packing import pack, raw, shrunk
from paths import ROOT, full_disk
from small_imagenet import jpeg

PREPARE = ROOT / 'tools/dataset_converters/prepare_imagenet.py'
ORIENTATION = 0x0112
# The first shard's, as `printf '0 NAME' | sha256sum` sorts them.
ORDER = [
    'n01494475/n01494475_40.JPEG',
    'n01443537/n01443537_13.JPEG',
    'n01443537/n01443537_12.JPEG',
    'n01494475/n01494475_42.JPEG',
    'n01494475/n01494475_43.JPEG',
]


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(packing, 'SHARD_BYTES', 4000)


@pytest.fixture
def out(tars, inline, tmp_path, small_shards):
    """ImageNet from the archives, packed; what is shrunk has a short edge of 30."""
    inline(PREPARE, tars.folder, tmp_path / 'out', '--pack', '--edge', 30, '--jobs', 2)
    return tmp_path / 'out'


def contents(dataset):
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    return [fileio.get(path) for path in paths]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_from_the_archives_to_packed_images(split, out):
    files = ImageNet(str(out), split)
    packed = PackedImageNet(str(out / 'packed'), split)
    np.testing.assert_array_equal(packed.get_gt_labels(), files.get_gt_labels())
    for found, expected in zip(contents(packed), contents(files)):
        if split == 'val':  # their accuracy is that of the whole images
            assert found == expected
            continue
        image, whole = (Image.open(io.BytesIO(x)) for x in (found, expected))
        assert image.size == (36, 30)
        assert whole.size == (48, 40)
        # Of so few pixels, a JPEG has half as many colours: the brightness is compared.
        whole, image = (functional.pil_to_tensor(x.convert('L')) for x in (whole, image))
        theirs = functional.resize(whole, [30, 36], antialias=True).float()
        assert (image - theirs).abs().mean() < 2


@pytest.mark.parametrize(
    ('content', 'changes'),
    [
        (jpeg(0, (60, 50)), True),
        (jpeg(0, (50, 60), quality=30, progressive=True), True),
        (jpeg(0, (41, 50), 'L'), True),
        (jpeg(0, (40, 900)), False),  # no larger than it is to be
        (jpeg(0, (60, 50), 'CMYK'), False),
        (b'\x89PNG', None),
    ],
    ids=['colour', 'progressive', 'grey', 'narrow', 'CMYK', 'PNG'],
)
def test_mode_and_shape_of_what_is_shrunk(content, changes):
    if changes is None:
        buffer = io.BytesIO()
        Image.new('RGB', (60, 50)).save(buffer, 'PNG')
        content = buffer.getvalue()
    result = shrunk(content, 40, 90)
    assert (result != content) == bool(changes)
    before, after = (Image.open(io.BytesIO(x)) for x in (content, result))
    assert after.mode == before.mode
    if changes:
        assert min(after.size) == 40
        ratio = after.size[0] / after.size[1] * before.size[1] / before.size[0]
        assert abs(ratio - 1) < 0.02


@pytest.mark.parametrize(
    ('mode', 'kind'),
    [('RGB', 'JPEG'), ('L', 'JPEG'), ('CMYK', 'JPEG'), ('RGB', 'PNG'), ('P', 'PNG')],
)
@pytest.mark.parametrize('orientation', [1, 6])
def test_pixels_are_what_pillow_decodes_and_shrinks(mode, kind, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(jpeg(0, (90, 60)))).convert(mode)
    image.save(buffer, kind, exif=exif)
    image = ImageOps.exif_transpose(Image.open(buffer)).convert('RGB')
    turned = orientation == 6
    assert image.size == ((60, 90) if turned else (90, 60))
    small = (40, 60) if turned else (60, 40)
    for edge, size in (None, image.size), (400, image.size), (40, small):
        found = Image.open(io.BytesIO(raw(buffer.getvalue(), edge)))
        assert (found.format, found.mode, found.size) == ('PPM', 'RGB', size)
        expected = image.resize(size, Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_turned_image_stays_turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = orientation, 'a maker'
    content = jpeg(0, (90, 60), exif=exif, icc_profile=b'a profile')
    result = shrunk(content, 40, 95)
    info = Image.open(io.BytesIO(result))
    assert dict(info.getexif()) == {ORIENTATION: orientation}
    assert info.info['icc_profile'] == b'a profile'
    for flag in ('color', 'color_ignore_orientation'):
        whole, small = (mmcv.imfrombytes(x, flag) for x in (content, result))
        turned = flag == 'color' and orientation > 4
        assert small.shape == ((60, 40, 3) if turned else (40, 60, 3))
        expected = mmcv.imresize(whole, small.shape[1::-1], interpolation='area')
        difference = np.abs(small.astype(float) - expected)
        assert difference.mean() < 3


def test_tar_and_sha256sum_read_the_shards(out):
    packed = out / 'packed'
    subprocess.run(
        ['sha256sum', '--check', '--quiet', 'train.sha256', 'val.sha256'],
        cwd=packed,
        check=True,
    )
    images = {}
    for path in packed.glob('*.tar'):
        with tarfile.open(path, 'r:') as archive:
            for member in archive:
                images[member.name] = archive.extractfile(member).read()
    for split in ('train', 'val'):
        dataset = PackedImageNet(str(packed), split)
        for i, content in enumerate(contents(dataset)):
            name = dataset.get_data_info(i)['img_path'].split('/', 2)[2]
            assert images.pop(name.split(':', 1)[1].partition('/')[2]) == content
    assert images == {}
    # All files are there, and no others.
    kinds = Counter(re.sub(r'\d{5}', '0', path.name) for path in packed.iterdir())
    shards = kinds['train-0.tar'], kinds['val-0.tar']
    assert min(shards) > 1
    assert kinds == {
        **{'train-0.tar': shards[0], 'train-0.npz': shards[0]},
        **{'val-0.tar': shards[1], 'val-0.npz': shards[1]},
        **dict.fromkeys(('train.json', 'train.sha256', 'val.json', 'val.sha256'), 1),
        '.lock': 1,
    }


def test_a_shard_of_training_images_mixes_the_classes(out):
    for split, mixed in (('train', True), ('val', False)):
        dataset = PackedImageNet(str(out / 'packed'), split)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        places = [
            (shard, int(offset))
            for shard, offset in (
                re.match(r'(.*)#(\d+)\+', info['img_path']).groups() for info in infos
            )
        ]
        labels = [infos[i]['gt_label'] for i in np.argsort(rank(places))]
        assert (labels != sorted(labels)) == mixed


def rank(places):
    return [sorted(places).index(place) for place in places]


def test_goes_on_where_it_was_killed(out, tars, inline, monkeypatch):
    packed = out / 'packed'
    before = PackedImageNet(str(packed)).metainfo['packed']
    shards = sorted(packed.glob('train-*.tar'))
    assert len(shards) >= 5
    inodes = {path: path.stat().st_ino for path in packed.glob('*.tar')}
    # As a kill, or another accident, leaves them.
    shards[0].unlink()
    os.truncate(shards[1], 600)
    shards[2].with_suffix('.npz').unlink()
    os.truncate(shards[3].with_suffix('.npz'), 70)
    for name in (f'{shards[4].stem}.a.unfinished.tar', 'train.b.unfinished.json'):
        (packed / f'.{name}').touch()
    # The archives are not needed any more.
    shutil.rmtree(tars.folder)
    options = ('--pack', '--edge', 30, '--jobs', 1)
    text = inline(PREPARE, tars.folder, out, *options)
    assert f'fingerprint {before["fingerprint"]}' in text
    assert PackedImageNet(str(packed)).metainfo['packed'] == before
    after = {path: path.stat().st_ino for path in packed.glob('*.tar')}
    assert {path for path in after if after[path] != inodes[path]} <= {*shards[:4]}
    assert not [*packed.glob('.*.unfinished*')]


def test_killed_while_it_packs(out, monkeypatch, tmp_path):
    write, folder = packing._write_shard, tmp_path / 'killed'

    def killed(folder, split, number, *rest):
        if number == 2:
            os._exit(9)
        return write(folder, split, number, *rest)

    files = ImageNet(str(out), 'train')
    with monkeypatch.context() as patch:
        patch.setattr(packing, '_write_shard', killed)
        patch.setattr(packing.ProcessPoolExecutor, 'submit', submit_by_name)
        with pytest.raises(PackError, match='was ended by another'):
            pack(files, 'train', folder, 30, 90, jobs=1)
    there = [*folder.glob('*.tar')]
    assert 1 <= len(there) <= 2
    with pytest.raises(PackError, match=r'is missing; prepare_imagenet\.py --pack'):
        PackedImageNet(str(folder))
    pack(files, 'train', folder, 30, 90, jobs=1)
    found, expected = (
        PackedImageNet(str(place)).metainfo['packed']
        for place in (folder, out / 'packed')
    )
    assert found == expected


def call(name, *args):
    return getattr(packing, name)(*args)


submit = packing.ProcessPoolExecutor.submit


def submit_by_name(pool, function, *args):
    """Submit what stands in for a function: its forks find it where they look for it."""
    return submit(pool, call, '_write_shard', *args)


def test_refuses_other_settings_by_name(out, tars, inline, tmp_path):
    for option, value, there in (('edge', 31, 30), ('quality', 80, 90)):
        options = {'--edge': 30, '--quality': 90, f'--{option}': value}
        arguments = [part for pair in options.items() for part in pair]
        text = inline(PREPARE, tars.folder, out, '--pack', *arguments, code=1)
        message = f'train is packed with another {option}: {there} and not {value}'
        assert f'{out}/packed/train.json: {message}; take the same' in text
    options = ('--pack', '--edge', 31, '--packed', tmp_path / 'b')
    assert 'in 1 shards' not in inline(PREPARE, tars.folder, out, *options)
    # A folder that others have prepared, of other images.
    (out / 'meta/train.txt').unlink()
    next((out / 'train/n01440764').iterdir()).unlink()
    text = inline(PREPARE, out, out, '--pack', '--edge', 30, code=1)
    assert 'The number of subfolders (5)' in text
    (out / 'classes.txt').write_text('a\nb\nc\nd\ne\n')
    text = inline(PREPARE, out, out, '--pack', '--edge', 30, code=1)
    assert 'train is packed with another images: 20 and not 19' in text
    options = ('--pack', '--edge', 30, '--packed', tmp_path / 'c')
    # It is left as it is: it may be on a disk that they alone write to.
    for name in ('.lock', '.prepared.json'):
        (out / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*')}
    assert '19 training and 8 validation' in inline(PREPARE, out, out, *options)
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*')} == before
    assert PackedImageNet(str(tmp_path / 'c')).CLASSES == (*'abcde',)


def test_refuses_replaced_images(out, tars, inline):
    path = next((out / 'train/n01440764').iterdir())
    path.write_bytes(path.read_bytes() + b'0')
    text = inline(PREPARE, tars.folder, out, '--pack', '--edge', 30, code=1)
    assert 'another source: names, labels or sizes of images differ; take' in text


def test_refuses_shards_without_their_settings(out, tars, inline):
    path = out / 'packed/train.json'
    path.unlink()
    text = inline(PREPARE, tars.folder, out, '--pack', '--edge', 20, code=1)
    message = f'{path}: is missing, and train-00000.tar was packed with it; remove all'
    assert message in text
    for path in (out / 'packed').glob('train*'):
        path.unlink()
    assert '20 images' in inline(PREPARE, tars.folder, out, '--pack', '--edge', 20)


def test_writes_again_what_is_of_another_shard_or_damaged(out, tars, inline):
    packed = out / 'packed'
    before = PackedImageNet(str(packed)).metainfo['packed']['fingerprint']
    for suffix in ('tar', 'npz'):
        shutil.copy(packed / f'train-00000.{suffix}', packed / f'train-00001.{suffix}')
    with pytest.raises(PackError, match=r'train-00001\.npz: is of another shard or of'):
        PackedImageNet(str(packed))
    options = ('--pack', '--edge', 30, '--jobs', 1)
    assert f'fingerprint {before}' in inline(PREPARE, tars.folder, out, *options)
    assert PackedImageNet(str(packed)).metainfo['packed']['fingerprint'] == before
    # A damaged shard of the right size is found by its reader, who says what to do.
    path = packed / 'train-00001.tar'
    whole = path.read_bytes()
    path.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    with pytest.raises(
        PackError, match=r'remove the shard, and prepare_imagenet\.py --p'
    ):
        contents(PackedImageNet(str(packed)))
    path.unlink()
    assert f'fingerprint {before}' in inline(PREPARE, tars.folder, out, *options)
    assert path.read_bytes() == whole


def test_the_order_is_that_of_any_version_of_numpy(out):
    with tarfile.open(out / 'packed/train-00000.tar') as archive:
        names = archive.getnames()
    assert len(names) > 1
    assert names == ORDER[: len(names)]


def test_options_out_of_range(tars, inline, tmp_path):
    for option in ('--edge', '--quality', '--jobs'):
        arguments = (PREPARE, tars.folder, tmp_path / 'out', '--pack', option, 0)
        assert '--quality 1 to 100' in inline(*arguments, code=2)


@pytest.mark.parametrize(
    'option', ['--raw', '--edge=400', '--quality=90', '--jobs=1', '--packed=x']
)
def test_what_is_said_of_packing_needs_it(option, tars, inline, tmp_path):
    text = inline(PREPARE, tars.folder, tmp_path / 'out', option, code=2)
    assert '--packed, --edge, --quality, --raw and --jobs need --pack' in text


def test_pixels_have_no_quality(tars, inline, out, tmp_path):
    for quality in (80, 90):
        text = inline(PREPARE, tars.folder, out, '--raw', '--quality', quality, code=2)
        assert 'argument --quality: not allowed with argument --raw' in text
    text = inline(PREPARE, tars.folder, out, '--pack', '--edge', 30, '--raw', code=1)
    assert 'train is packed with another quality: 90 and not raw; take the same' in text


@pytest.mark.parametrize('quality', [90, 'raw'])
def test_what_cannot_be_decoded_is_named_and_packed_as_it_is(
    quality, tmp_path, small_shards
):
    folder = tmp_path / 'train/a'
    folder.mkdir(parents=True)
    damaged = jpeg(0, (60, 50))[:600], b'no image', jpeg(1, (60, 50))
    for name, content in zip('xyz', damaged):
        (folder / f'{name}.jpg').write_bytes(content)
    files = ImageNet(str(tmp_path), 'train', metainfo=dict(classes=('a',)))
    text = pack(files, 'train', tmp_path / 'packed', 30, quality, jobs=1)
    packed = contents(PackedImageNet(str(tmp_path / 'packed')))
    assert packed[:2] == [*damaged[:2]]
    assert packed[2] != damaged[2]
    first, second, last = sorted(text.splitlines(), reverse=True)
    assert last.startswith(f'{tmp_path}/packed: 3 images of train')
    assert second == 'a/x.jpg: cannot be decoded, and is packed as it is'
    assert first == 'a/y.jpg: cannot be decoded, and is packed as it is'
    # They are named again when it goes on.
    next(tmp_path.glob('packed/train-*.tar')).unlink()
    assert pack(files, 'train', tmp_path / 'packed', 30, quality, jobs=1) == text
    assert pack(files, 'train', tmp_path / 'packed', 30, quality, jobs=1) == text
    (tmp_path / 'list.txt').write_text('a/x.jpg 0\n')
    (folder / 'x.jpg').unlink()
    files = ImageNet(str(tmp_path), 'train', ann_file='list.txt')
    with pytest.raises(PackError, match=r'x\.jpg: cannot be read: .*No such file'):
        pack(files, 'train', tmp_path / 'b', 30, quality, jobs=1)


@pytest.mark.parametrize('edge', [None, 400])
def test_what_is_copied_is_decoded_where_it_does_not_end_as_a_jpeg(
    edge, tmp_path, monkeypatch
):
    decoded = []

    def decode(content):
        decoded.append(content)
        return packing_decode(content)

    packing_decode = packing.decode
    monkeypatch.setattr(packing, 'decode', decode)
    whole, buffer = jpeg(0), io.BytesIO()
    Image.new('RGB', (60, 50)).save(buffer, 'PNG')
    png, path = buffer.getvalue(), tmp_path / 'x'
    for content, decodable, is_decoded in (
        (whole, True, False),
        (whole + b'\0\0', True, False),
        (whole + b'more', True, True),
        (whole[:-100], False, True),
        (png, True, True),
        (png[:-30], False, True),
        (b'', False, edge is None),
        (b'no image', False, edge is None),
    ):
        path.write_bytes(content)
        source = packing.Source(0, str(path), 'x', 0)
        quality = None if edge is None else 90
        decoded.clear()
        assert packing._packed(source, edge, quality) == (content, decodable)
        assert decoded == [content] * is_decoded


def test_a_full_disk_ends_in_one_line(inline, tars, tmp_path, monkeypatch):
    inline(PREPARE, tars.folder, tmp_path / 'out')
    # The options are not those of the archives: one shard of more than the disk takes.
    images = tmp_path / 'out/train/n01440764'
    for path in images.iterdir():
        path.write_bytes(path.read_bytes() + os.urandom(40_000))
    with full_disk():
        options = ('--pack', '--jobs', 1)
        text = inline(PREPARE, tars.folder, tmp_path / 'out', *options, code=1)
    path = tmp_path / 'out/packed/train-00000.tar'
    assert f'prepare_imagenet.py: {path}: cannot be written: [Errno 27]' in text
    names = {file.name for file in path.parent.iterdir()}
    assert names == {'.lock', 'train.json'}


def test_dali_reads_the_shards(out):
    dali = pytest.importorskip('nvidia.dali', reason='DALI is not installed')
    shards = [str(path) for path in sorted((out / 'packed').glob('train-*.tar'))]
    pipeline = dali.Pipeline(batch_size=20, num_threads=1, device_id=None)
    with pipeline:
        reader = dali.fn.readers.webdataset(paths=shards, ext=['JPEG'])
        pipeline.set_outputs(reader[0] if isinstance(reader, list) else reader)
    pipeline.build()
    (batch,) = pipeline.run()
    found = sorted(np.array(batch[i]).tobytes() for i in range(20))
    assert found == sorted(contents(PackedImageNet(str(out / 'packed'))))

import os
import random
import re
import shutil
import tarfile
from collections import Counter

import pytest
from mmengine import Config
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS
from timm.data import ImageNetInfo
from torchvision.datasets import ImageNet

import imagenet_archives
from imagenet_archives import ArchiveError, unpack
from pages import blocks
from paths import ROOT, full_disk
from small_imagenet import (
    NUMBERS,
    TRUTH,
    WNIDS,
    devkit,
    jpeg,
    tar,
    train_images,
    val_images,
)

PREPARE = ROOT / 'tools/dataset_converters/prepare_imagenet.py'


class Killed(BaseException):
    """As if the process were killed."""


def expected(classes=None):
    """Every file that belongs below the folder, and what it holds."""
    files = {
        f'train/{wnid}/{name}': content
        for wnid, images in train_images().items()
        for name, content in images.items()
    }
    wnid_of = dict(zip(NUMBERS, WNIDS))
    for number, (name, content) in zip(TRUTH, val_images().items()):
        files[f'val/{wnid_of[number]}/{name}'] = content
    return {
        path: content
        for path, content in files.items()
        if path.split('/')[1] in WNIDS[:classes]
    }


def images_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for split in ('train', 'val')
        for path in (folder / split).rglob('*')
        if path.is_file()
    }


def pairs(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(info['img_path'], info['gt_label']) for info in infos]


def test_a_config_reads_what_it_writes(inline, tars, tmp_path):
    out = tmp_path / 'out'
    text = inline(PREPARE, tars.folder, out)
    assert f'{out}: 20 training and 8 validation images of 1000 classes' in text
    assert images_below(out) == expected()
    cfg = Config.fromfile(ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py')
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.val_dataloader, 'val')):
        found = pairs(DATASETS.build({**loader.dataset, 'data_root': str(out)}))
        # Without the lists, MMPretrain goes through the folders: the order is the same.
        assert found == pairs(CustomDataset(str(out / split)))
        for path, label in found:
            assert f'/{WNIDS[label]}/' in path
    # Nothing else is left.
    assert {path.name for path in out.iterdir()} == {
        *('train', 'val', 'meta', '.prepared.json', '.lock')
    }


def test_torchvision_finds_the_same_labels(inline, tars, tmp_path):
    out, theirs = tmp_path / 'out', tmp_path / 'theirs'
    inline(PREPARE, tars.folder, out)
    shutil.copytree(tars.folder, theirs)
    for split in ('train', 'val'):
        dataset = ImageNet(theirs, split)
        found = [(path.replace(str(theirs), str(out)), i) for path, i in dataset.samples]
        assert found == pairs(CustomDataset(str(out / split)))


def test_the_classes_order_is_mmpretrains():
    # timm's lists are of another source.
    info = ImageNetInfo('imagenet-1k')
    by_wnid = {w: info.label_name_to_description(w) for w in info.label_names()}
    in_order = tuple(by_wnid[wnid] for wnid in sorted(by_wnid))
    assert in_order == IMAGENET_CATEGORIES
    assert sorted(by_wnid)[: len(WNIDS)] == WNIDS


def test_a_subset_has_the_first_classes_and_their_names(inline, tars, tmp_path):
    out = tmp_path / 'out'
    text = inline(PREPARE, tars.folder, out, '--subset', 3)
    assert 'out: 12 training and 5 validation images of 3 classes' in text
    assert images_below(out) == expected(classes=3)
    block = blocks(ROOT / 'docs/imagenet.md', 'python')[0]
    block = block.replace("'../", f"'{ROOT}/configs/")
    config = tmp_path / 'subset.py'
    config.write_text(block.replace('data/imagenet100', str(out)))
    cfg = Config.fromfile(config)
    for name, images in (('train', 12), ('val', 5), ('test', 5)):
        dataset = DATASETS.build(cfg[f'{name}_dataloader'].dataset)
        assert len(dataset) == images
        assert dataset.CLASSES == IMAGENET_CATEGORIES[:3]
    text = inline(PREPARE, tars.folder, out, code=1)
    assert f'{out}: is prepared with --subset 3; take the same' in text
    for number in (0, 1001):
        text = inline(PREPARE, tars.folder, tmp_path / 'b', '--subset', number, code=1)
        assert 'must be 1 to 1000 classes' in text


def test_validation_images_may_lie_in_a_folder(inline, tars, tmp_path):
    tars.path('val').unlink()
    (tars.folder / 'val').mkdir()
    for name, content in val_images().items():
        (tars.folder / 'val' / name).write_bytes(content)
    inline(PREPARE, tars.folder, tmp_path / 'out')
    assert images_below(tmp_path / 'out') == expected()
    (tars.folder / 'val/ILSVRC2012_val_00000003.JPEG').unlink()
    text = inline(PREPARE, tars.folder, tmp_path / 'b', code=1)
    assert 'val: lacks 1 of 8 images, first ILSVRC2012_val_00000003.JPEG' in text


@pytest.fixture
def writes(monkeypatch):
    """The images that are written, by path; a number says at which one it is killed."""
    write, seen = imagenet_archives._write, Counter()

    def killed_write(path, content):
        there = path.exists() and path.read_bytes() == content
        if sum(seen.values()) == seen.kill_at:
            path.write_bytes(content[: len(content) // 2])
            raise Killed
        write(path, content)
        if not there:
            seen[path.name] += 1

    seen.kill_at = None
    monkeypatch.setattr(imagenet_archives, '_write', killed_write)
    return seen


def test_killed_anywhere_it_goes_on(writes, tars, tmp_path, monkeypatch):
    checked = []
    add = imagenet_archives._Watched.add

    def watched_add(self, size, doing):
        checked.append((self.what, doing))
        add(self, size, doing)

    monkeypatch.setattr(imagenet_archives._Watched, 'add', watched_add)
    rng = random.Random(0)
    total = len(expected())
    kills = sorted({0, 3, 4, 20, *rng.sample(range(total), 4)})
    for writes.kill_at in kills:
        with pytest.raises(Killed):
            unpack(tars.folder, tmp_path / 'out')
        found = images_below(tmp_path / 'out')
        # Under the names that are read, there are whole images alone.
        found = {k: v for k, v in found.items() if 'unfinished' not in k}
        assert found.items() <= expected().items()
    writes.kill_at = None
    unpack(tars.folder, tmp_path / 'out')
    assert images_below(tmp_path / 'out') == expected()
    # A whole image is written once, and an archive checked once.
    assert {*writes.values()} == {1}
    assert len(writes) == total
    assert sum(what == 'checking the archives' for what, _ in checked) == 3
    # When all is done, the archives may go.
    shutil.rmtree(tars.folder)
    unpack(tars.folder, tmp_path / 'out')


def test_killed_between_the_last_image_and_the_note(tars, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:

        def killed(split, *rest):
            raise Killed

        patch.setattr(imagenet_archives, '_finish', killed)
        with pytest.raises(Killed):
            unpack(tars.folder, tmp_path / 'out')
    unpack(tars.folder, tmp_path / 'out')
    assert images_below(tmp_path / 'out') == expected()


def test_refuses_an_archive_that_is_another_or_missing(inline, tars, tmp_path):
    path = tars.path('val')
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    text = inline(PREPARE, tars.folder, tmp_path / 'out', code=1)
    assert re.search(f'{path}: is damaged or another file; its MD5 is .* must be', text)
    assert not (tmp_path / 'out/train').exists()
    path.unlink()
    tars.path('devkit').unlink()
    text = inline(PREPARE, tars.folder, tmp_path / 'out', code=1)
    missing = 'ILSVRC2012_img_val.tar, ILSVRC2012_devkit_t12.tar.gz'
    assert f'{tars.folder}: lacks {missing}' in text
    assert len(text.splitlines()) == 1


def link(kind, target='../outside'):
    info = tarfile.TarInfo('n01440764_7.JPEG')
    info.type, info.linkname = kind, target
    return {info.name: info}


@pytest.mark.parametrize(
    'members',
    [
        {'/tmp/outside.JPEG': b'x'},
        {'../outside.JPEG': b'x'},
        {'..': b'x'},
        {'n01440764/7.JPEG': b'x'},
        link(tarfile.SYMTYPE),
        link(tarfile.LNKTYPE),
        link(tarfile.CHRTYPE),
        link(tarfile.FIFOTYPE),
        link(tarfile.DIRTYPE),
    ],
    ids=lambda members: str(
        [*members, getattr(members[next(iter(members))], 'type', '')]
    ),
)
@pytest.mark.parametrize('split', ['train', 'val'])
def test_refuses_what_would_leave_the_folder(split, members, tars, tmp_path):
    if split == 'train':
        inner = {f'{wnid}.tar': tar(images) for wnid, images in train_images().items()}
        tars.write('train', tar({**inner, 'n01494475.tar': tar(members)}))
    else:
        tars.write('val', tar({**val_images(), **members}))
    before = {path for path in tmp_path.rglob('*') if 'out' not in path.parts}
    name = re.escape(repr(next(iter(members))))
    with pytest.raises(ArchiveError, match=f'{name} is refused; a member must be a file'):
        unpack(tars.folder, tmp_path / 'out')
    assert {path for path in tmp_path.rglob('*') if 'out' not in path.parts} == before
    assert images_below(tmp_path / 'out').items() <= expected().items() or split == 'val'


def test_refuses_other_members(tars, tmp_path):
    tars.write('val', tar({**val_images(), 'ILSVRC2012_val_00000009.JPEG': jpeg(0)}))
    with pytest.raises(ArchiveError, match=r'00000009\.JPEG is none of the 8 val'):
        unpack(tars.folder, tmp_path / 'out')
    tars.write('train', tar({'readme.txt': b'no images'}))
    with pytest.raises(ArchiveError, match=r'train\.tar: readme\.txt is no tar of'):
        unpack(tars.folder, tmp_path / 'b')
    tars.write('train', tar({f'{w}.tar': tar({}) for w in WNIDS if w != WNIDS[2]}))
    with pytest.raises(ArchiveError, match=r'lacks 1 classes, first n01484850\.tar'):
        unpack(tars.folder, tmp_path / 'c')


def damaged(content, place, length=64):
    return content[:place] + b'\xff' * length + content[place + length :]


@pytest.mark.parametrize('fault', ['truncated', 'header', 'first header'])
def test_a_damaged_tar_in_a_tar_is_named(fault, tars, tmp_path):
    images = train_images()
    inner = {f'{wnid}.tar': tar(images[wnid]) for wnid in WNIDS}
    content = inner['n01484850.tar']
    second = 512 + -(-len(images['n01484850']['n01484850_20.JPEG']) // 512) * 512
    inner['n01484850.tar'] = {
        'truncated': content[: second + 700],
        'header': damaged(content, second + 100),
        'first header': damaged(content, 100),
    }[fault]
    tars.write('train', tar(inner))
    last = 'its first byte' if fault == 'first header' else r'n01484850_2\d\.JPEG'
    name = r'ILSVRC2012_img_train\.tar: n01484850\.tar: is damaged at or after'
    with pytest.raises(ArchiveError, match=f'{name} {last}'):
        unpack(tars.folder, tmp_path / 'out')
    whole = images_below(tmp_path / 'out')
    assert all(
        expected()[path.replace('.n01484850.unfinished', 'n01484850')] == content
        for path, content in whole.items()
    )


def test_a_truncated_archive_is_named(tars, tmp_path):
    for split in ('val', 'train'):
        tars.write(split, tars.path(split).read_bytes()[:-20000])
        with pytest.raises(ArchiveError, match=rf'ILSVRC2012_img_{split}\.tar: is damag'):
            unpack(tars.folder, tmp_path / split)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('data/meta.mat', b'no matlab', 'data/meta.mat cannot be read'),
        ('data/ILSVRC2012_validation_ground_truth.txt', b'7\n', 'that meta.mat has not'),
        ('data/ILSVRC2012_validation_ground_truth.txt', b'x\n', 'truth.txt cannot be re'),
        ('data/meta.mat', None, 'data/meta.mat cannot be read'),
    ],
)
def test_a_damaged_devkit_is_named(name, content, message, tars, tmp_path):
    members = devkit()
    name = f'ILSVRC2012_devkit_t12/{name}'
    members[name] = content
    if content is None:
        del members[name]
    tars.write('devkit', tar(members))
    with pytest.raises(ArchiveError, match=message) as error:
        unpack(tars.folder, tmp_path / 'out')
    assert str(tars.path('devkit')) in str(error.value)


def test_a_full_disk_ends_in_one_line(inline, tars, tmp_path):
    images = train_images()
    large = os.urandom(100_000)
    images['n01443537']['n01443537_13.JPEG'] = large
    tars.write('train', tar({f'{w}.tar': tar(i) for w, i in images.items()}))
    out = tmp_path / 'out'
    with full_disk():
        text = inline(PREPARE, tars.folder, out, code=1)
    line = 'n01443537_13.JPEG: cannot be written: [Errno 27] File too large'
    assert re.fullmatch(rf'prepare_imagenet\.py: {out}\S*{re.escape(line)}\n', text)
    # What is there is whole, and with room it goes on.
    assert {*images_below(out).values()} <= {*expected().values()}
    inline(PREPARE, tars.folder, out)
    assert images_below(out)['train/n01443537/n01443537_13.JPEG'] == large


def test_refuses_a_folder_that_others_made(inline, tars, tmp_path):
    out = tmp_path / 'out'
    (out / 'train/n01440764').mkdir(parents=True)
    text = inline(PREPARE, tars.folder, out, code=1)
    assert f'{out}: has images that prepare_imagenet.py has not put there' in text

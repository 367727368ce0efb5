"""The plain network on the digits, in MMEngine's pure Python style."""

from mmengine.dataset import DefaultSampler
from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
)
from mmengine.optim import CosineAnnealingLR
from mmengine.visualization import LocalVisBackend
from mmpretrain.datasets import PackInputs
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import (
    CrossEntropyLoss,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.visualization import UniversalVisualizer
from torch.optim import SGD

from dhm_plugin import (
    BFloat16OptimWrapper,
    CIFARResNet,
    CropFlipPreprocessor,
    DeferredRuntimeInfoHook,
    Digits,
    InMemoryDataset,
    LabelCheckHook,
)

model = dict(
    type=ImageClassifier,
    backbone=dict(type=CIFARResNet, depth=20, in_channels=1),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead,
        num_classes=10,
        in_channels=64,
        loss=dict(type=CrossEntropyLoss, loss_weight=1.0),
    ),
)
data_preprocessor = dict(
    type=CropFlipPreprocessor,
    crop_size=8,
    padding=1,
    num_classes=10,
    mean=[4.89],
    std=[6.01],
)
train_dataloader = dict(
    batch_size=480,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(type=InMemoryDataset, dataset=dict(type=Digits, split='train')),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=360,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(type=Digits, split='test', pipeline=[dict(type=PackInputs)]),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=Accuracy, topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
optim_wrapper = dict(
    type=BFloat16OptimWrapper, optimizer=dict(type=SGD, lr=0.05, momentum=0.9, fused=True)
)
param_scheduler = dict(type=CosineAnnealingLR, end=1, convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=480)
default_scope = 'mmpretrain'
default_hooks = dict(
    runtime_info=dict(type=DeferredRuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=1),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, interval=1),
    sampler_seed=dict(type=DistSamplerSeedHook),
)
custom_hooks = [dict(type=LabelCheckHook)]
visualizer = dict(type=UniversalVisualizer, vis_backends=[dict(type=LocalVisBackend)])
randomness = dict(seed=0)

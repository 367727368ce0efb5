_base_ = ['mmpretrain::_base_/models/repvgg-A0_in1k.py', '../map/base.py']

# Half of the channels.
model = dict(
    backbone=dict(in_channels=1, base_channels=32),
    head=dict(in_channels=640, num_classes=10, topk=(1,)),
)
# Large shifts are learnt late.
data_preprocessor = dict(padding=1)
train_dataloader = dict(sampler=dict(images=50000))

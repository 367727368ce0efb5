_base_ = 'repvgg-a0-w32_1xb64_fmnist.py'

model = dict(type='DHMClassifier', mimicking_loss=dict(type='MimickingLoss'))

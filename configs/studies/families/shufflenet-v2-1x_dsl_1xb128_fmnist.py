_base_ = './shufflenet-v2-1x_1xb128_fmnist.py'

model = dict(type='DHMClassifier')

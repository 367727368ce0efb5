_base_ = './resnet18-w32_1xb64_fmnist.py'

model = dict(type='DHMClassifier')

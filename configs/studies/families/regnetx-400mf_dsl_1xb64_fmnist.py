_base_ = './regnetx-400mf_1xb64_fmnist.py'

model = dict(type='DHMClassifier')

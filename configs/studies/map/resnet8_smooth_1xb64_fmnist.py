_base_ = 'resnet8_1xb64_fmnist.py'

model = dict(
    head=dict(
        loss=dict(
            _delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'
        )
    )
)

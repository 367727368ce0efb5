from resumption import BY_ITER, STOCK, NoiseImages, config, train


def test_loads_what_is_left_alone(tmp_path, monkeypatch):
    options = dict(train_cfg=dict(BY_ITER, _delete_=True, val_interval=100))
    cfg = config(pipeline=STOCK, **options)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    train(cfg, tmp_path / 'work', kill_after=6)
    loaded = []
    load = NoiseImages.__getitem__
    monkeypatch.setattr(
        NoiseImages, '__getitem__', lambda self, i: loaded.append(i) or load(self, i)
    )
    runner = train(cfg, tmp_path / 'work', resume=True)
    # Two rounds of 14 images in batches of 4; the last of a round has two.
    assert len(loaded) == 4 + 2
    assert runner.iter == 8
    sampler = runner.train_dataloader.sampler
    sampler.set_epoch(1)
    assert loaded == list(sampler)[-6:]

"""The classifier that trains with side branches and predicts without them."""

from itertools import chain
from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from torch import nn

from ..heads import MultiBranchClsHead
from ..necks import SideBranchNeck


@MODELS.register_module()
class DHMClassifier(ImageClassifier):
    """Image classifier whose side branches and main branch learn from one another.

    In training every branch runs and gets its losses; in evaluation the main branch
    alone, which is the plain network: ``backbone.*`` and ``head.fc.*`` of a checkpoint
    load into the stock ``ImageClassifier``.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020.

    Args:
        backbone (dict | nn.Module): Any MMPretrain backbone whose ``out_indices`` give
            the maps to fork from, and last the main branch's.
        neck (dict | SideBranchNeck): The side branches, a :class:`SideBranchNeck`.
        head (dict | MultiBranchClsHead): A :class:`MultiBranchClsHead`; its
            ``side_in_channels`` are the neck's where the config does not give them.
        pretrained (str, optional): Checkpoint to start from. Defaults to None.
        train_cfg (dict, optional): Batch augmentations, as in ``ImageClassifier``.
            Defaults to None.
        data_preprocessor (dict | nn.Module, optional): As in ``ImageClassifier``.
            Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        TypeError: If the neck or the head is of another type.
        ValueError: If the branches do not fit the backbone, or the head the neck.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        pretrained: str | None = None,
        train_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if isinstance(neck, dict):
            neck = MODELS.build(neck)
        _check_type('neck', neck, SideBranchNeck)
        if isinstance(head, dict):
            kind = head['type']
            kind = MODELS.get(kind) if isinstance(kind, str) else kind
            if isinstance(kind, type) and issubclass(kind, MultiBranchClsHead):
                head = {'side_in_channels': neck.side_channels, **head}
            head = MODELS.build(head)
        _check_type('head', head, MultiBranchClsHead)
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            train_cfg=train_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self._check_branches()

    def branch_logits(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run every branch, whatever the mode.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).

        Returns:
            tuple[torch.Tensor]: Logits (N, classes) a branch, shallowest side branch
            first, main branch last; the main branch alone after
            :meth:`switch_to_deploy`.
        """
        return self.head.branch_logits(self.neck.forward_branches(self.backbone(inputs)))

    def switch_to_deploy(self) -> None:
        """Drop the side branches in place: what is left is the plain network.

        A backbone that has layers of its own for each map that it gives, as the norm
        layers of MMPretrain's Swin and ConvNeXt, keeps those of the dropped maps.
        """
        self.neck.switch_to_deploy()
        self.head.switch_to_deploy()
        if hasattr(self.backbone, 'out_indices'):
            self.backbone.out_indices = self.backbone.out_indices[-1:]

    def _check_branches(self) -> None:
        """Let branches that do not fit fail here, before any data is loaded."""
        indices = getattr(self.backbone, 'out_indices', ())
        if list(indices) != sorted(indices):
            raise ValueError(
                f'DHMClassifier: the backbone has out_indices={indices}; they must be in '
                "order, for the last map is the main branch's"
            )
        maps = _maps_on_meta(self.backbone)
        if maps is not None:
            self.neck.check_maps(maps)
            self.head.check_channels((*self.neck.side_channels, maps[-1].size(1)))


def _check_type(role: str, module: Any, expected: type) -> None:
    if not isinstance(module, expected):
        raise TypeError(
            f'DHMClassifier: the {role} is a {type(module).__name__}; it must be a '
            f'{expected.__name__}, or use ImageClassifier for a network without side '
            'branches'
        )


def _maps_on_meta(backbone: nn.Module) -> tuple[torch.Tensor, ...] | None:
    """Run a backbone on the meta device, which computes shapes alone.

    None for one that cannot run there on a 224x224 image: neck and head check it at the
    first batch.
    """
    conv = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    image = torch.empty(1, conv.in_channels if conv else 3, 224, 224, device='meta')
    tensors = {
        name: tensor.to('meta')
        for name, tensor in chain(backbone.named_parameters(), backbone.named_buffers())
    }
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            return torch.func.functional_call(backbone, tensors, (image,))
    except Exception as error:
        print_log(
            'The side branches are checked at the first batch: on the meta device '
            f'{type(backbone).__name__} does not run ({error})',
            logger='current',
        )
        return None
    finally:
        backbone.train(training)

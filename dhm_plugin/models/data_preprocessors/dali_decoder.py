"""DALI's decoding, cropping, resizing and flipping of batches, in the background."""

import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from mmpretrain.structures import DataSample

from ...datasets.transforms.load_image_from_file import unreadable

# Batches at once: on a GPU one is read by its CPU while it decodes the other. On a CPU
# one batch keeps all threads busy.
_AT_ONCE = {'cpu': 1, 'gpu': 2}
# In the message of what goes wrong there.
_IN_DECODER = 'fn.decoders.'
# Pipelines of another process, of which this one is a fork.
_not_ours = []


def import_dali() -> Any:
    """Import DALI.

    Returns:
        Any: The module ``nvidia.dali``.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import nvidia.dali.fn
    except ImportError as error:
        raise ImportError(
            "the data is decoded by NVIDIA's DALI, which is not installed: pip install "
            "'dhm_plugin[dali]', or pip install nvidia-dali-cuda120 where PyTorch is of "
            'CUDA 12; or train with configs/_base_/datasets/imagenet_bs32.py'
        ) from error
    return nvidia.dali


class DaliDecoder:
    """Decode batches of encoded images, in the order in which they come.

    Args:
        device (str): ``'gpu'`` or ``'cpu'``.
        num_threads (int, optional): Threads that decode. Defaults to None: as many as
            this process has cores, shared with the other processes of the machine.

    Raises:
        ImportError: If DALI is not installed.
        ValueError: If there is no GPU for ``'gpu'``.
    """

    def __init__(self, device: str, num_threads: int | None = None) -> None:
        self._dali = import_dali()
        if device == 'gpu' and not torch.cuda.is_available():
            raise ValueError(
                "DaliPreprocessor: device='gpu', but PyTorch has no GPU; use "
                '--cfg-options data_preprocessor.device=cpu'
            )
        self._device = device
        self._gpu = torch.cuda.current_device() if device == 'gpu' else None
        if num_threads is None:
            processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
            num_threads = max(1, len(os.sched_getaffinity(0)) // processes)
        self._num_threads = num_threads
        self._threads = ThreadPoolExecutor(_AT_ONCE[device], 'dali')
        self._pipelines: dict[int, Any] = {}  # of each thread
        weakref.finalize(self, _release, os.getpid(), self._pipelines)

    def submit(self, images: Sequence[bytes], samples: Sequence[DataSample]) -> Future:
        """Begin to decode a batch.

        Args:
            images (Sequence[bytes]): The files, N.
            samples (Sequence[DataSample]): With what :class:`PackEncodedInputs` packs.

        Returns:
            Future: Its result is uint8 (N, 3, H, W), RGB, on the device; or it raises
            ``PIL.UnidentifiedImageError``, which names an image that DALI cannot decode.
        """
        return self._threads.submit(self._decode, images, samples)

    def _decode(
        self, images: Sequence[bytes], samples: Sequence[DataSample]
    ) -> torch.Tensor:
        try:
            return self._run(images, samples)
        except RuntimeError as error:
            if _IN_DECODER not in str(error):
                raise
        # DALI does not say which one.
        alone = []
        for image, sample in zip(images, samples):
            try:
                alone.append(self._run([image], [sample]))
            except RuntimeError:
                reason = ValueError('DALI cannot decode it')
                raise unreadable(sample.img_path, reason) from None
        return torch.cat(alone)

    def _run(
        self, images: Sequence[bytes], samples: Sequence[DataSample]
    ) -> torch.Tensor:
        pipeline = self._pipeline(len(images))
        window = np.array([sample.window for sample in samples])
        decoded = np.array([sample.decoded for sample in samples], np.int32)
        begin, end = decoded[:, :2], decoded[:, 2:]
        inputs = dict(
            content=[np.frombuffer(image, np.uint8) for image in images],
            begin=np.ascontiguousarray(begin),
            shape=end - begin,
            window_begin=np.float32(window[:, :2] - begin),
            window_end=np.float32(window[:, 2:] - begin),
            size=np.array([sample.img_shape for sample in samples], np.float32),
            flip=np.array([sample.flip for sample in samples], np.int32),
        )
        try:
            (crops,) = pipeline.run(**inputs)
        except RuntimeError:
            # It is of no use after an error.
            del self._pipelines[threading.get_ident()]
            raise
        return self._to_torch(crops.as_tensor())

    def _pipeline(self, size: int) -> Any:
        """Give this thread's pipeline for so many images."""
        pipeline = self._pipelines.get(threading.get_ident())
        if pipeline is None or pipeline.max_batch_size < size:
            pipeline = self._dali.Pipeline(
                batch_size=size,
                num_threads=self._num_threads,
                device_id=self._gpu,
                # What it takes to name a batch's inputs when it runs.
                prefetch_queue_depth=1,
            )
            with pipeline:
                pipeline.set_outputs(self._crops())
            self._pipelines[threading.get_ident()] = pipeline
        return pipeline

    def _crops(self) -> Any:
        """Define the graph."""
        fn, types = self._dali.fn, self._dali.types

        def given(name: str, dtype: Any, ndim: int) -> Any:
            return fn.external_source(name=name, dtype=dtype, ndim=ndim)

        decoded = fn.decoders.image_slice(
            given('content', types.UINT8, 1),
            given('begin', types.INT32, 1),
            given('shape', types.INT32, 1),
            axis_names='HW',
            normalized_anchor=False,
            normalized_shape=False,
            output_type=types.RGB,  # BGR would take a half longer
            adjust_orientation=False,
            device='mixed' if self._device == 'gpu' else 'cpu',
        )
        resized = fn.resize(
            decoded,
            roi_start=given('window_begin', types.FLOAT, 1),
            roi_end=given('window_end', types.FLOAT, 1),
            size=given('size', types.FLOAT, 1),
            interp_type=types.INTERP_LINEAR,
            antialias=True,
        )
        return fn.crop_mirror_normalize(
            resized,
            mirror=given('flip', types.INT32, 0),
            dtype=types.UINT8,
            output_layout='CHW',
        )

    def _to_torch(self, crops: Any) -> torch.Tensor:
        """Copy what DALI will use again."""
        if self._gpu is None:
            return torch.from_numpy(np.array(crops))
        from nvidia.dali.plugin.pytorch import feed_ndarray

        images = torch.empty(crops.shape(), dtype=torch.uint8, device=self._gpu)
        # Without a stream it waits until all is copied.
        return feed_ndarray(crops, images)


def _release(process: int, pipelines: dict) -> None:
    """Let go of pipelines, unless their threads are in another process.

    A worker of a data loader, as a fork, would wait for their end for ever.
    """
    if os.getpid() == process:
        pipelines.clear()
    else:
        _not_ours.append(pipelines)

"""Decoding, cropping, resizing and flipping of batches by DALI, in the background."""

import gc
import os
import re
import threading
import traceback
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from mmpretrain.structures import DataSample

from ...datasets.transforms.load_image_from_file import unreadable

# Batches at once: one is read, or put together, while the other is decoded.
_AT_ONCE = 2
# In the message of what goes wrong there, and of what no image is to blame for.
_IN_DECODER = 'fn.decoders.'
_OF_THE_MACHINE = re.compile('CUDA|memory|alloc', re.IGNORECASE)
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
        device (str): ``'gpu'``, or ``'cpu'``: :class:`DaliCpuDecoder` is faster there.
        num_threads (int, optional): Threads of the CPU that decode each of two batches.
            Defaults to None: as many as this process has cores, shared with the other
            processes of the machine.

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
        self._gpu = torch.cuda.current_device() if device == 'gpu' else None
        if num_threads is None:
            processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
            num_threads = max(1, len(os.sched_getaffinity(0)) // processes)
        self._num_threads = num_threads
        # Memory of what is decoded is this stream's: none that the network still reads.
        self._stream = torch.cuda.Stream(self._gpu) if device == 'gpu' else None
        self._threads = ThreadPoolExecutor(_AT_ONCE, 'dali')
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
            if _IN_DECODER in str(error) and not _OF_THE_MACHINE.search(str(error)):
                self._name_one(images, samples)
            raise

    def _name_one(self, images: Sequence[bytes], samples: Sequence[DataSample]) -> None:
        """Say which image cannot be decoded: DALI does not."""
        for image, sample in zip(images, samples):
            try:
                self._run([image], [sample])
            except RuntimeError as error:
                reason = RuntimeError(str(error).partition('Stacktrace')[0])
                raise unreadable(sample.img_path, reason) from None

    def _run(
        self, images: Sequence[bytes], samples: Sequence[DataSample]
    ) -> torch.Tensor:
        pipeline = self._pipeline(len(images))
        decoded = np.array([sample.decoded for sample in samples], np.int32)
        begin, end = decoded[:, :2], decoded[:, 2:]
        try:
            (outputs,) = pipeline.run(
                content=[np.frombuffer(image, np.uint8) for image in images],
                begin=np.ascontiguousarray(begin),
                shape=end - begin,
                **self._inputs(samples),
            )
        except RuntimeError as error:
            # It is of no use after an error, and must be gone before another process is
            # forked.
            del self._pipelines[threading.get_ident()], pipeline
            traceback.clear_frames(error.__traceback__)
            gc.collect()
            raise
        return self._images(outputs, samples)

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
                pipeline.set_outputs(self._outputs(self._decoded()))
            self._pipelines[threading.get_ident()] = pipeline
        return pipeline

    def _given(self, name: str, dtype: Any, ndim: int = 1) -> Any:
        return self._dali.fn.external_source(name=name, dtype=dtype, ndim=ndim)

    def _decoded(self) -> Any:
        """Define the graph's decoded crops."""
        types = self._dali.types
        return self._dali.fn.decoders.image_slice(
            self._given('content', types.UINT8),
            self._given('begin', types.INT32),
            self._given('shape', types.INT32),
            axis_names='HW',
            normalized_anchor=False,
            normalized_shape=False,
            output_type=types.RGB,  # BGR would take a half longer
            adjust_orientation=False,
            device='cpu' if self._gpu is None else 'mixed',
        )

    def _outputs(self, decoded: Any) -> Any:
        """Define what becomes of decoded crops."""
        fn, types = self._dali.fn, self._dali.types
        resized = fn.resize(
            decoded,
            roi_start=self._given('window_begin', types.FLOAT),
            roi_end=self._given('window_end', types.FLOAT),
            size=self._given('size', types.FLOAT),
            interp_type=types.INTERP_LINEAR,
            antialias=True,
        )
        return fn.crop_mirror_normalize(
            resized,
            mirror=self._given('flip', types.INT32, ndim=0),
            dtype=types.UINT8,
            output_layout='CHW',
        )

    def _inputs(self, samples: Sequence[DataSample]) -> dict[str, np.ndarray]:
        """Give the inputs of :meth:`_outputs`."""
        windows = windows_of(samples)
        return dict(
            window_begin=np.float32(windows[:, :2]),
            window_end=np.float32(windows[:, 2:]),
            size=np.array([sample.img_shape for sample in samples], np.float32),
            flip=np.array([sample.flip for sample in samples], np.int32),
        )

    def _images(self, outputs: Any, samples: Sequence[DataSample]) -> torch.Tensor:
        """Give a batch of outputs, uint8 (N, 3, H, W), that DALI does not use again."""
        crops = outputs.as_tensor()
        if self._gpu is None:  # as in the tests
            return torch.from_numpy(np.array(crops))
        from nvidia.dali.plugin.pytorch import feed_ndarray

        with torch.cuda.stream(self._stream):
            images = torch.empty(crops.shape(), dtype=torch.uint8, device=self._gpu)
            feed_ndarray(crops, images, cuda_stream=self._stream)
        self._stream.synchronize()
        return images


def windows_of(samples: Sequence[DataSample]) -> np.ndarray:
    """Give what is resized of each decoded crop.

    Args:
        samples (Sequence[DataSample]): With what :class:`PackEncodedInputs` packs.

    Returns:
        np.ndarray: float64 (N, 4): top, left, bottom and right, in pixels of the crop.
    """
    begin = [sample.decoded[:2] for sample in samples]
    return np.array([sample.window for sample in samples]) - np.tile(begin, 2)


def _release(process: int, pipelines: dict) -> None:
    """Let go of pipelines, unless their threads are in another process.

    A worker of a data loader, as a fork, would wait for their end for ever.
    """
    if os.getpid() == process:
        pipelines.clear()
    else:
        _not_ours.append(pipelines)

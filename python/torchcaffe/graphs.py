"""Recording work on a GPU as a CUDA graph, by PyTorch."""

from __future__ import annotations

from typing import Callable, Protocol

import torch


class Machine(Protocol):
    """What records and replays."""

    def aside(self, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run as it will be recorded."""

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        """Record; what replays it, and the tensor that it then fills."""


class CudaGraphs:
    """Records and replays work on a GPU.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def aside(self, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run on the stream that records, in turn with the usual one; libraries then have their memory for it."""
        usual = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            result = call()
        usual.wait_stream(self._stream)
        return result

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        """Record, without doing it, what a call starts; and what it returns, which a replay will fill.

        Raises:
            RuntimeError: the call waits for the GPU, or does something else that cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        # "thread_local": threads that read data ahead may do as they like
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            result = call()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return replay, result

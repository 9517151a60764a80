"""HDF5Output: writes its bottoms to an HDF5 file."""

from __future__ import annotations

from pathlib import Path

from caffefiles.errors import optional, os_error_message
from torchcaffe.layers.base import Blobs, Flags, Layer


class HDF5Output(Layer):
    """Writes bottom 0 as ``/data`` and bottom 1 as ``/label`` of ``hdf5_output_param.file_name``, at the one forward,
    both with four axes.

    Differs from Caffe in: it aborts at a second forward, since a dataset cannot be made twice; here that is an error.
    The file is written when forward runs, not when the net goes away.
    """

    exact_num_bottom = 2
    exact_num_top = 0

    def layer_setup(self, bottom: Blobs, top: Blobs) -> None:
        """Find out whether the file can be written.

        Raises:
            CaffeError: it cannot.
        """
        h5py = optional("h5py", "HDF5")

        self._path = self.param.hdf5_output_param.file_name
        self._written = False
        try:
            h5py.File(self._path, "w").close()
        except (OSError, ValueError) as error:
            reason = os_error_message(error) if isinstance(error, OSError) and error.filename else str(error)
            raise self.fail(f"cannot write {self._path!r}: {reason}", f"paths are relative to {Path.cwd()}") from None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """There are no tops.

        Raises:
            CaffeError: the bottoms are not of equally many examples, or have more than four axes.
        """
        for blob in bottom:
            blob.legacy_dim(0)
        if bottom[0].shape[:1] != bottom[1].shape[:1]:
            raise self.fail(
                f"bottoms of shapes {bottom[0].shape} and {bottom[1].shape} differ in the first dimension",
                "data and label must be of equally many examples",
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Write both.

        Raises:
            CaffeError: they were written before, or cannot be written.
        """
        h5py = optional("h5py", "HDF5")

        if self._written:
            raise self.fail(
                f"{self._path!r} holds a batch already, and takes no second one",
                "run the net forward once, or give it a larger batch",
            )
        try:
            with h5py.File(self._path, "w") as file:
                for name, blob in zip(("data", "label"), bottom):
                    shape = tuple(blob.legacy_dim(i) for i in range(4))
                    file.create_dataset(name, data=blob.data.detach().cpu().numpy().reshape(shape))
        except OSError as error:
            raise self.fail(f"cannot write {self._path!r}: {error}") from None
        self._written = True

    def backward(self, top: Blobs, propagate_down: Flags, bottom: Blobs) -> None:
        """Nothing comes back."""

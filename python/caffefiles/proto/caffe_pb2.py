"""The classes of ``caffe.proto``, under the names of Caffe's own ``caffe_pb2``: NetParameter, Datum, TRAIN, TEST, …"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffefiles.proto.schema import module_members

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


globals().update(module_members(__name__))

"""Caffe's protobuf schema: ``caffe.proto`` (text), ``caffe_pb2`` (the message classes)."""

"""Caffe's programs: :mod:`.caffe`, :mod:`.convert_imageset`, :mod:`.compute_image_mean`, with its flags and its log."""

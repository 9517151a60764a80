# ruff: noqa: E501
"""Old nets and solvers, each upgraded by real Caffe into ``goldens/upgraded/`` by ``make_upgrade_goldens.py``."""

from __future__ import annotations

NETS = {
    "v0": """
        name: "old" input: "x" input_dim: 2 input_dim: 3 input_dim: 11 input_dim: 13
        layers { layer { name: "d" type: "data" source: "db" meanfile: "m" scale: 0.5 batchsize: 7 cropsize: 5 mirror: true
                 rand_skip: 3 } top: "data" top: "label" }
        layers { layer { name: "im" type: "images" source: "l" batchsize: 2 shuffle_images: true new_height: 9 new_width: 8 }
                 top: "i" top: "il" }
        layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "padded" }
        layers { layer { name: "c" type: "conv" num_output: 17 kernelsize: 3 stride: 2 group: 1 biasterm: false blobs_lr: 1
                 blobs_lr: 2 weight_decay: 1 weight_decay: 0 weight_filler { type: "gaussian" std: 0.1 } } bottom: "padded"
                 top: "c" }
        layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "c" top: "p" }
        layers { layer { name: "n" type: "lrn" local_size: 5 alpha: 0.1 beta: 0.7 } bottom: "p" top: "n" }
        layers { layer { name: "r" type: "relu" } bottom: "n" top: "n" }
        layers { layer { name: "dr" type: "dropout" dropout_ratio: 0.3 } bottom: "n" top: "n" }
        layers { layer { name: "cc" type: "concat" concat_dim: 0 } bottom: "n" bottom: "n" top: "cc" }
        layers { layer { name: "f" type: "innerproduct" num_output: 19 bias_filler { value: 2 } } bottom: "cc" top: "f" }
        layers { layer { name: "l" type: "softmax_loss" } bottom: "f" bottom: "label" top: "l" }
        layers { layer { name: "w" type: "window_data" source: "w" det_fg_threshold: 0.1 det_bg_threshold: 0.2
                 det_fg_fraction: 0.3 det_context_pad: 4 det_crop_mode: "square" batchsize: 3 } top: "w" top: "wl" }
        layers { layer { name: "h" type: "hdf5_output" hdf5_output_param { file_name: "o" } } bottom: "f" bottom: "label" }
        layers { layer { name: "ig" type: "infogain_loss" source: "H" } bottom: "f" bottom: "label" }
    """,
    "v1": """
        name: "one" force_backward: true
        layers { name: "d" type: DATA top: "data" top: "label" data_param { source: "db" scale: 0.25 mean_file: "m" crop_size: 5
                 mirror: true batch_size: 3 backend: LMDB } include { phase: TRAIN } }
        layers { name: "i" type: IMAGE_DATA top: "i" top: "j" image_data_param { source: "l" scale: 0.5 mirror: true } }
        layers { name: "w" type: WINDOW_DATA top: "w" top: "v" window_data_param { source: "l" crop_size: 3 } }
        layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" param: "a" param: "b" blob_share_mode: PERMISSIVE
                 blobs_lr: 1 blobs_lr: 2 weight_decay: 1 convolution_param { num_output: 4 kernel_size: 3 } exclude { stage: "s" } }
        layers { name: "r" type: RELU bottom: "c" top: "c" }
        layers { name: "l" type: SOFTMAX_LOSS bottom: "c" bottom: "label" top: "l" loss_weight: 0.5 loss_param { ignore_label: 3 } }
        layers { name: "a" type: ABSVAL bottom: "c" top: "a" } layers { name: "b" type: BNLL bottom: "c" top: "b" }
        layers { name: "e" type: SIGMOID_CROSS_ENTROPY_LOSS bottom: "c" bottom: "a" top: "e" }
        layers { name: "m" type: MVN bottom: "c" top: "m" } layers { name: "n" type: IM2COL bottom: "c" top: "n" }
        layers { name: "o" type: HDF5_DATA top: "o" } layers { name: "p" type: ARGMAX bottom: "c" top: "p" }
        layers { name: "q" type: TANH bottom: "c" top: "q" } layers { name: "s" type: INFOGAIN_LOSS }
        layers { name: "t" type: EUCLIDEAN_LOSS } layers { name: "u" type: LRN } layers { name: "x" type: DUMMY_DATA }
    """,
    "input_dim": """
        name: "i" input: "a" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7
        input: "b" input_dim: 11 input_dim: 13 input_dim: 17 input_dim: 19
        layer { name: "r" type: "ReLU" bottom: "a" top: "r" }
    """,
    "input_shape": """
        input: "a" input_shape { dim: 2 dim: 3 } input: "b" input_shape { dim: 5 }
        layer { name: "r" type: "ReLU" bottom: "a" top: "r" }
    """,
    "batch_norm": """
        layer { name: "b" type: "BatchNorm" bottom: "a" top: "b" param { lr_mult: 3 name: "k" } param {} param { decay_mult: 2 } }
        layer { name: "c" type: "BatchNorm" bottom: "a" top: "c" param { lr_mult: 3 } }
    """,
}

SOLVERS = {
    name: f'net: "n.prototxt" base_lr: 0.5 momentum: 0.25 solver_type: {name}'
    for name in ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM")
}

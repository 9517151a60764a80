"""Breaking linear classifiers on ImageNet with Caffe: datasets, nets, data gradients, fooling images, figures.

Pixels are BGR, channel × height × width, 0..255 wherever Caffe is near; RGB exists in :mod:`foolcaffe.images` and in
figures only. Every module imports only from modules nearer to the images than itself.
"""

import sys

from caffefiles import __version__ as __version__

if sys.argv[:1] == ["-m"]:  # `python -m foolcaffe.…` is starting, and nothing is imported yet
    # run_cli says it of a Ctrl-C later; during the imports nobody else would, and a traceback is nobody's business
    sys.excepthook = lambda kind, value, trace: (
        print("interrupted", file=sys.stderr)
        if issubclass(kind, KeyboardInterrupt)
        else sys.__excepthook__(kind, value, trace)
    )
    from foolcaffe.engine import enter

    enter()

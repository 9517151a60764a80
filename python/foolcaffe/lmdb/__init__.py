"""LMDBs of Caffe's ``Datum``, built with every core and every image accounted for. ``python -m foolcaffe.lmdb``.

The road: :mod:`plan` (what goes in, in which order) → :mod:`shard` (:mod:`worker` processes decode, one writer stores)
→ :mod:`merge` → :mod:`verify`. One machine walks it in one command, a cluster in four. :mod:`reader` reads what is
there.

Inside this package ``import lmdb`` is py-lmdb: imports are absolute, and no file here is run as a script.
"""

"""The study: every claim of the post and the note, measured, in one report. ``python -m foolcaffe.study``."""

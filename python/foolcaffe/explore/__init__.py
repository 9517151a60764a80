"""The explorer: one HTML page in which a picture is dragged along a template of a trained linear net."""

"""Solvers: :mod:`.base` is the loop, :mod:`.sgd` an update, :mod:`.lr_policy` the rates, :mod:`.registry` the names."""

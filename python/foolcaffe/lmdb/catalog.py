"""placeholder"""
from __future__ import annotations
import argparse
def add_arguments(command: argparse.ArgumentParser) -> None: pass
def run(options: argparse.Namespace) -> int: return 0

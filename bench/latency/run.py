#!/usr/bin/python3
"""From a request to a running program, from a program's end to its event: through a whole set, against bare
system calls.

usage: run.py BIN-FOLDER [ROUNDS]"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "e2e"))
sys.dont_write_bytecode = True
from lops_set import Set  # noqa: E402

bin_dir = os.path.abspath(sys.argv[1])
with Set(bin_dir) as s:
    s.up()
    subprocess.run([os.path.join(bin_dir, "latency"), os.path.join(bin_dir, "tick"), s.run, s.state,
                    sys.argv[2] if len(sys.argv) > 2 else "1000"], check=True)

#!/usr/bin/python3
"""Runs the README's tour from the README's own text, each line as it stands there, in a set of its own.
usage: readme_tour.py BIN-FOLDER"""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def tour(readme):
    section = readme.split("## A tour", 1)[1]
    return re.search(r"```sh\n(.*?)```", section, re.S).group(1).splitlines()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "README.md"), encoding="utf-8") as f:
        lines = tour(f.read())
    top = tempfile.mkdtemp(prefix="lops-tour-")
    env = dict(os.environ, LOPS_RUN_DIR=top + "/r", LOPS_STATE_DIR=top + "/s",
               PATH=os.path.abspath(sys.argv[1]) + ":" + os.environ["PATH"])
    env.pop("LOPS_CONFIG", None)
    wrong = 0
    try:
        for line in lines:
            done = subprocess.run(["sh", "-c", line], env=env, cwd=top, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=90, check=False)
            print("%d  %s" % (done.returncode, line))
            if done.returncode != 0:
                print(done.stdout[-500:], done.stderr[-500:], sep="\n")
                wrong += 1
    finally:
        subprocess.run(["lops-launch", "down"], env=env, capture_output=True, timeout=90, check=False)
        shutil.rmtree(top, ignore_errors=True)
    print("%d commands, %d failed" % (len(lines), wrong))
    return wrong != 0 or len(lines) < 10


if __name__ == "__main__":
    sys.exit(main())

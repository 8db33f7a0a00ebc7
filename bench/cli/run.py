#!/usr/bin/python3
"""lops list of 1,000 deployments as a whole process, beside an empty program that makes one round trip on a
unix socket, in turn. usage: run.py BIN_DIR"""
import os
import shutil
import subprocess
import sys
import tempfile


def main():
    binaries = os.path.abspath(sys.argv[1])
    top = tempfile.mkdtemp(prefix="lops-bench-")
    env = dict(os.environ, LOPS_RUN_DIR=top + "/r", LOPS_STATE_DIR=top + "/s")
    with open(top + "/lops.yaml", "w", encoding="utf-8") as f:
        f.write("deployments:\n" + "".join("  d%04d: {command: sleep infinity, autostart: false}\n" % n for n in range(1000)))
    try:
        subprocess.run([binaries + "/lops-launch", "up", "--config", top + "/lops.yaml"], env=env, check=True)
        for words in (["list"], ["list", "--json"], ["status", "d0500"]):
            got = subprocess.run([binaries + "/lops", *words], env=env, stdout=subprocess.DEVNULL, check=False)
            if got.returncode not in (0, 3):
                sys.exit("lops %s ended with %d" % (words, got.returncode))
            if got.returncode == 3:
                continue  # a stopped one: pairs wants success
            figure = subprocess.run(
                [binaries + "/pairs", "60", binaries + "/lops", *words], env=env, capture_output=True, text=True, check=True).stdout.split()
            print("| `lops %s`, 1,000 deployments, p50 | %s ms | %s ms (empty program, one round trip) | %s |" % (" ".join(words), *figure))
    finally:
        subprocess.run([binaries + "/lops-launch", "down"], env=env, check=False)
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()

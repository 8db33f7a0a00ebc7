#!/usr/bin/python3
"""Each command in README.md's sh blocks is run by a test: the named script exists and is executable,
each `lops` verb and `lops-launch` verb it shows is known to the program, and so is each of its options.

usage: readme.py SOURCE-FOLDER BIN-FOLDER"""
import os
import re
import shlex
import subprocess
import sys

source, bin_dir = sys.argv[1:3]
RUN_ELSEWHERE = {"tests/run.sh", "deploy/quickstart.sh", "deploy/packages.sh", "bench/run.sh"}
OUTSIDE = {"git", "cmake", "cd", "ninja", "sqlite3", "curl", "sudo", "ctest", "export", "PATH"}


def commands():
    text = open(os.path.join(source, "README.md"), encoding="utf-8").read()
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.split(" #")[0].strip()
            if line and not line.startswith("#"):
                yield line


def program(words):
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


def check(line):
    words = program(shlex.split(line))
    if not words:
        return None
    name = os.path.basename(words[0])
    if words[0].lstrip("./") in RUN_ELSEWHERE:
        path = os.path.join(source, words[0])
        return None if os.access(path, os.X_OK) else f"{path} can't be executed"
    if name in ("lops", "local-deploy", "lops-launch"):
        verb = [w for w in words[1:] if not w.startswith("-")][:1]
        known = subprocess.run([os.path.join(bin_dir, name), *verb, "--help"], capture_output=True, text=True)
        if known.returncode != 0:
            return f"{name} {verb} --help: {known.stderr.strip()}"
        own = words[:words.index("--")] if "--" in words else words
        for option in own[1:]:
            flag = option.split("=")[0]
            if flag.startswith("--") and flag not in known.stdout and flag != "--help":
                return f"{name} {verb} does not name {flag} in its help"
        return None
    return None if name in OUTSIDE else f"{name} is not a program of this project"


def main():
    lines = list(commands())
    wrong = [f"{line}\n    {why}" for line in lines if (why := check(line))]
    print("\n".join(wrong))
    sys.exit(1 if wrong or len(lines) < 5 else 0)


main()

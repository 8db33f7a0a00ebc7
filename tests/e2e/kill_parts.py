#!/usr/bin/python3
"""Kills each part of a set while real programs run: first each in turn, then in random order; some together
(the pair, all actors, all that holds an end of the pipes, all there is). Nothing that is managed may notice:
same pid and start time, 0 restarts, numbered output without a gap, and every command is answered truthfully.

usage: kill_parts.py BIN-FOLDER [--rounds N] [--seed N]"""
import argparse
import os
import random
import shutil
import signal
import sys
import time
import urllib.request

from lops_set import Failed, Set, check, free_port, same, start_ticks, wait_for

COUNT = ("import os,time,itertools\n"
         "for i in itertools.count():\n os.write(1, b'%d\\n' % i); time.sleep(.002)")
ACTORS = ["broker", "process-manager", "log-monitor", "coordinator"]
PARTS = ["guardian", "worker", *ACTORS, "pair", "actors", "readers", "all"]


def begin(s):
    """The programs that must not notice; those that are not installed are left out, and said so."""
    programs = {"count": ["python3", "-c", COUNT]}
    port = free_port()
    programs["web"] = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    nginx = shutil.which("nginx", path=s.env["PATH"])
    if nginx:
        conf = os.path.join(s.root, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"daemon off; pid {s.root}/nginx.pid; error_log stderr;\nevents {{}}\n"
                    f"http {{ access_log off; client_body_temp_path {s.root}/b; proxy_temp_path {s.root}/p;"
                    f" fastcgi_temp_path {s.root}/f; uwsgi_temp_path {s.root}/u; scgi_temp_path {s.root}/s;"
                    f" server {{ listen 127.0.0.1:{free_port()}; }} }}\n")
        programs["nginx"] = [nginx, "-p", s.root, "-c", conf]
    redis = shutil.which("redis-server", path=s.env["PATH"])
    if redis:
        programs["redis"] = [redis, "--port", str(free_port()), "--save", "", "--dir", s.root]
    for name, argv in programs.items():
        s.start(name, *argv)
    print("programs:", *programs, flush=True)
    wait_for("the server to answer", lambda: answers(port))
    return {name: (s.row(name)["pid"], start_ticks(s.row(name)["pid"])) for name in programs}


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as r:
            return r.status == 200
    except OSError:
        return False


def victims(s, part):
    members = s.members()
    if part == "guardian":
        return members[:1]
    if part == "worker":
        return members[1:]
    if part == "pair":
        return members
    pids = s.actors()
    wanted = {"actors": ACTORS, "all": ACTORS, "readers": ["log-monitor"]}.get(part, [part])
    found = [pids[a][0] for a in wanted if pids.get(a, (0,))[0] > 0]
    return found + members if part in ("readers", "all") else found


def kill(s, part):
    pids = wait_for(f"{part} to be there", lambda: victims(s, part))
    for signo in (signal.SIGSTOP, signal.SIGKILL) if len(pids) > 1 else (signal.SIGKILL,):
        for pid in pids:
            try:
                os.kill(pid, signo)
            except ProcessLookupError:
                pass
    if part == "all":
        s.up()


def commanded(s, number, rng):
    """A command in the middle of it, settled by the same command again where its answer is open."""
    name = f"side-{number % 3}"
    verb = rng.choice(["start", "stop", "restart"])
    if verb == "start" and name not in s.side:
        done = s.command("lops", "start", "--name", name, "--", "sleep", "infinity")
        same_again = ["start", name]
        s.side.add(name)
        if done.returncode == 6:
            done = s.command("lops", *same_again)
    elif name not in s.side:
        return
    else:
        done = s.command("lops", verb, name)
    wanted = "stopped" if verb == "stop" else "running"
    if done.returncode in (5, 7):
        s.wait_well()
        if name not in s.rows():
            s.side.discard(name)
            return
        done = s.command("lops", verb if verb != "restart" else "start", name)
    check(f"lops {verb} {name}: status {done.returncode}", done.returncode == 0, done.stdout, done.stderr)
    same(f"after {verb} {name}", s.row(name)["status"], wanted)


def unnoticed(s, programs, when):
    rows = s.rows()
    for name, (pid, ticks) in programs.items():
        same(f"{name}: the same process {when}", start_ticks(pid), ticks)
        row = rows.get(name)
        check(f"{name} is known {when}", row)
        same(f"{name}: status, pid, restarts {when}", (row["status"], row["pid"], row["restarts"]),
             ("running", pid, 0))


def no_gap(s):
    """Output goes on after the last round; then every number stands there once, in order."""
    before = s.log("count").count(b"\n")
    wait_for("output to go on", lambda: s.log("count").count(b"\n") > before + 20)
    numbers = [int(n) for n in s.log("count").rsplit(b"\n", 1)[0].split()]
    wrong = [(i, n) for i, n in enumerate(numbers) if i != n]
    check("numbered output without a gap", not wrong, wrong[:3])
    return len(numbers)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bin_dir")
    p.add_argument("--rounds", type=int, default=200 if os.environ.get("LOPS_TEST_FULL") else 6)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    rng = random.Random(o.seed)
    order = PARTS + [rng.choice(PARTS) for _ in range(o.rounds)]
    with Set(o.bin_dir) as s:
        s.side = set()
        s.up()
        programs = begin(s)
        for number, part in enumerate(order):
            when = f"in round {number}, {part} killed (seed {o.seed})"
            begun = time.monotonic()
            try:
                kill(s, part)
                commanded(s, number, rng)
                s.wait_well()
                unnoticed(s, programs, when)
            except Failed as e:
                raise Failed(f"{when}: {e}") from e
            if number < len(PARTS) or number % 20 == 0:
                print(f"round {number}: {part}, whole again after {time.monotonic() - begun:.2f} s", flush=True)
        print(f"{len(order)} rounds, {no_gap(s)} numbered lines without a gap")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        print("FAILED", error)
        sys.exit(1)

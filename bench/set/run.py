#!/usr/bin/python3
"""A whole set against bare system calls: starts, exits, `up` with 1,000 deployments, memory, idle CPU.

usage: run.py BIN-FOLDER [--deployments N] [--idle SECONDS]"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "e2e"))
sys.dont_write_bytecode = True
from lops_set import Set, wait_for  # noqa: E402


def row(what, measured, floor="", ratio=""):
    print(f"| {what} | {measured} | {floor} | {ratio} |", flush=True)


def floor(bin_dir, *argv):
    done = subprocess.run([os.path.join(bin_dir, "floor"), *argv], check=True, capture_output=True, text=True)
    return [float(x) for x in done.stdout.split()]


class Follower:
    """A subscriber of the tap: a plain SUB socket."""

    def __init__(self, s, *topics):
        import zmq
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.connect(f"ipc://{s.run}/tap")
        for t in topics:
            self.socket.setsockopt_string(zmq.SUBSCRIBE, t)

    def next(self, topic, timeout_ms=20000):
        while self.socket.poll(timeout_ms):
            if self.socket.recv_multipart()[0].decode().startswith(topic):
                return time.monotonic()
        raise RuntimeError(f"no {topic} on the tap")


def exits_and_starts(bin_dir, rounds):
    seen_p50, seen_p99, begun_p50, begun_p99 = floor(bin_dir, "seen", "300")
    seen, begun = [], []
    with Set(bin_dir) as s:
        s.up()
        tap = Follower(s, "process.")
        s.start("one", "sleep", "infinity")
        tap.next("process.started/one")
        for _ in range(rounds):
            pid = s.row("one")["pid"]
            t = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            seen.append((tap.next("process.exited/one") - t) * 1e6)
            t = time.monotonic()
            p = subprocess.Popen([os.path.join(s.bin, "lops"), "start", "one"], env=s.env,
                                 stdout=subprocess.DEVNULL)
            begun.append((tap.next("process.started/one") - t) * 1e6)
            p.wait()

    def one(what, values, floors):
        values.sort()
        for name, got, base in (("p50", statistics.median(values), floors[0]),
                                ("p99", values[len(values) * 99 // 100], floors[1])):
            row(f"{what}, {name}", f"{got:.0f} µs", f"{base:.0f} µs", f"{got / base:.1f}")
    one("kill → exit event at a subscriber", seen, (seen_p50, seen_p99))
    one("`lops start` called → running, at a subscriber", begun, (begun_p50, begun_p99))


def pss_kib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except OSError:
            pass
    return total


def memfd_kib(pids):
    """Blocks of memfds that are mapped or only held, each once; mapped pages are in PSS already."""
    seen, total = set(), 0
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            path = f"/proc/{pid}/fd/{name}"
            try:
                if "/memfd:" in os.readlink(path):
                    st = os.stat(path)
                    if st.st_ino not in seen:
                        seen.add(st.st_ino)
                        total += st.st_blocks // 2
            except OSError:
                pass
    return total


def parts(s):
    return s.members() + [pid for pid, _ in s.actors().values() if pid > 0]


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def timed_up(s):
    t = time.monotonic()
    s.up()
    return (time.monotonic() - t) * 1e3


def all_running(s, n):
    text = s.lops("list", "--json").stdout
    return sum(d["status"] == "running" for d in json.loads(text)["deployments"]) == n


def bring_up(bin_dir, n, idle):
    config = 'version: "1.0"\ndeployments:\n' + "".join(
        f"  d{i}: {{command: [sleep, infinity]}}\n" for i in range(n))
    empties, fulls, floors = [], [], []
    for _ in range(3):
        floors.append(floor(bin_dir, "spawn", str(n))[0])
        with Set(bin_dir, 'version: "1.0"\n') as s:
            empties.append(timed_up(s))
            fixed = pss_kib(parts(s)) + memfd_kib(parts(s))
            s.launch("down")
        with Set(bin_dir, config) as s:
            fulls.append(timed_up(s))
            wait_for(f"{n} to run", lambda: all_running(s, n))
            loaded = pss_kib(parts(s)) + memfd_kib(parts(s))
            s.launch("down")
    net, base = statistics.median(fulls) - statistics.median(empties), statistics.median(floors)
    row(f"`lops-launch up` of {n} × `sleep infinity`, less an empty `up` ({statistics.median(empties):.0f} ms)",
        f"{net:.0f} ms", f"{base:.0f} ms", f"{net / base:.2f}")
    row("memory of the whole set, PSS and memfds", f"{fixed / 1024:.1f} MiB")
    row(f"and per deployment, at {n}", f"{(loaded - fixed) / n:.1f} KiB")
    with Set(bin_dir) as s:
        s.up()
        pids = parts(s)
        before, t = cpu_seconds(pids), time.monotonic()
        time.sleep(idle)  # the figure is about this very time
        row(f"CPU of the idle set over {idle} s",
            f"{(cpu_seconds(pids) - before) / (time.monotonic() - t) * 100:.2f} % of a core")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bin_dir")
    p.add_argument("--deployments", type=int, default=1000)
    p.add_argument("--idle", type=int, default=60)
    p.add_argument("--rounds", type=int, default=200)
    o = p.parse_args()
    exits_and_starts(o.bin_dir, o.rounds)
    bring_up(o.bin_dir, o.deployments, o.idle)


main()

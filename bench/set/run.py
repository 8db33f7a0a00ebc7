#!/usr/bin/python3
"""A whole set against bare system calls: `up` with 1,000 deployments, memory, idle CPU.

usage: run.py BIN-FOLDER [--deployments N] [--idle SECONDS]"""
import argparse
import json
import os
import re
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


def pss_kib(pid):
    """Of all that is mapped but memfds, which are counted by their blocks."""
    try:
        with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
            maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", f.read(), flags=re.M)
    except OSError:
        return 0
    return sum(int(re.search(r"^Pss:\s+(\d+)", m, re.M).group(1)) for m in maps
               if m and "/memfd:" not in m.split("\n", 1)[0])


def memfd_kib(pids):
    """Blocks of the memfds that are mapped or only held, each once."""
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


def memory_kib(s):
    return sum(map(pss_kib, parts(s))) + memfd_kib(parts(s))


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


def of_sleeps(n):
    return 'version: "1.0"\ndeployments:\n' + "".join(
        f"  d{i}: {{command: [sleep, infinity]}}\n" for i in range(n))


def bring_up(bin_dir, n):
    empties, fulls, floors = [], [], []
    for _ in range(5):
        floors.append(floor(bin_dir, "spawn", str(n))[0])
        with Set(bin_dir, 'version: "1.0"\n') as s:
            empties.append(timed_up(s))
            s.launch("down")
        with Set(bin_dir, of_sleeps(n)) as s:
            fulls.append(timed_up(s))
            wait_for(f"{n} to run", lambda: all_running(s, n))
            s.launch("down")
    net, base = statistics.median(fulls) - statistics.median(empties), statistics.median(floors)
    row(f"`lops-launch up` of {n} × `sleep infinity`, less an empty `up` ({statistics.median(empties):.0f} ms)",
        f"{net:.0f} ms", f"{base:.0f} ms", f"{net / base:.2f}")


def memory(bin_dir, n, settle):
    """The caches fill with the first deployments; what each further one costs is the slope after them."""
    used = []
    for count in (0, n, 2 * n):
        with Set(bin_dir, of_sleeps(count) if count else 'version: "1.0"\n') as s:
            s.up()
            wait_for(f"{count} to run", lambda: all_running(s, count))
            time.sleep(settle)  # what the burst needed is given back
            used.append(memory_kib(s))
            s.launch("down")
    each = (used[2] - used[1]) / n
    row("memory of the whole set with nothing to run, PSS and memfds", f"{used[0] / 1024:.1f} MiB")
    row(f"its fixed part with the caches full (at {n}, less the deployments)",
        f"{(used[1] - each * n) / 1024:.1f} MiB")
    row(f"each deployment, between {n} and {2 * n}", f"{each:.1f} KiB")


def idle(bin_dir, seconds):
    with Set(bin_dir) as s:
        s.up()
        pids = parts(s)
        before, t = cpu_seconds(pids), time.monotonic()
        time.sleep(seconds)  # the figure is about this very time
        row(f"CPU of the idle set over {seconds} s",
            f"{(cpu_seconds(pids) - before) / (time.monotonic() - t) * 100:.2f} % of a core")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bin_dir")
    p.add_argument("--deployments", type=int, default=1000)
    p.add_argument("--idle", type=int, default=60)
    o = p.parse_args()
    bring_up(o.bin_dir, o.deployments)
    memory(o.bin_dir, o.deployments, 12)
    idle(o.bin_dir, o.idle)


main()

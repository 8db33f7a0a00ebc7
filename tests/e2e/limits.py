#!/usr/bin/python3
"""Limits of a whole tree: kept where the machine has the controllers, and said where it has not; what
is in a control group cannot escape a stop; the groups go with what they were made for.

usage: limits.py BIN-FOLDER [TEST...]"""
import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lops_set import Set, check, run, same, start_ticks, wait_for

HOG = "import time\nkept = []\nfor i in range(300): kept.append(bytearray(1 << 20))\ntime.sleep(600)"
# Processes that leave the session and carry no mark of ours.
STRAYS = """import subprocess, time
for i in range(8):
    try:
        subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={})
    except OSError:
        pass
time.sleep(600)"""


def doctor(s):
    rows = json.loads(s.lops("doctor", "--json").stdout)["rows"]
    return {r["name"]: r for r in rows}


def kept(s, key):
    """Whether doctor says that this machine keeps the limit; the test then holds it to that."""
    row = doctor(s)[key]
    if row["value"].startswith("cgroup v"):
        same(f"no remark about {key}", row["remark"], "")
        return True
    check(f"doctor says why {key} is not kept", row["remark"])
    print(f"not kept on this machine: {key}: {row['remark']}", flush=True)
    return False


def groups(name=""):
    found = []
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        if f"/{name}@" in folder and "/lops-" in folder:
            found.append(folder)
    return found


def configured(bin_dir, **limits):
    """A set with one deployment for each name=(script, limits)."""
    lines = ["deployments:"]
    for name, (argv, wanted) in limits.items():
        lines += [f"  {name}:", f"    command: {json.dumps(argv)}",
                  f"    limits: {json.dumps(wanted)}", "    autostart: false"]
    return Set(bin_dir, "\n".join(lines) + "\n")


def memory_is_kept_and_the_reason_is_said(bin_dir):
    with configured(bin_dir, hog=(["/usr/bin/python3", "-c", HOG], {"memory_max_mb": 48}),
                    parent=(["/bin/sh", "-c", f"/usr/bin/python3 -c '{HOG}'; exit 5"],
                            {"memory_max_mb": 48})) as s:
        s.up()
        if not kept(s, "memory_max_mb"):
            check("an unkept limit is said", "memory_max_mb is not enforced" in
                  (d := s.lops("start", "hog", status=None)).stdout + d.stderr)
            return
        s.lops("start", "hog", "parent", status=None)
        row = s.wait_status("hog", "crashed")
        same("the signal", row["signal"], 9)
        reason = json.loads(s.lops("status", "hog", "--json", status=3).stdout)
        check("the reason names memory", "out of memory" in json.dumps(reason), reason)
        row = s.wait_status("parent", "crashed")
        same("the code of one whose child was killed", row["exit_code"], 5)
        reason = json.dumps(json.loads(s.lops("status", "parent", "--json", status=3).stdout))
        check("the reason names the child", "killed for want of memory" in reason, reason)
        wait_for("the groups to be gone", lambda: not groups("hog") and not groups("parent"))


def processes_are_kept_and_none_escapes_a_stop(bin_dir):
    with configured(bin_dir, tree=(["/usr/bin/python3", "-c", STRAYS], {"pids_max": 4})) as s:
        s.up()
        if not kept(s, "pids_max"):
            return
        s.lops("start", "tree", status=None)
        folder = wait_for("its group", lambda: groups("tree"))[0]

        def members():
            with open(folder + "/cgroup.procs", encoding="ascii") as f:
                return [int(line) for line in f]
        pids = wait_for("it to be full", lambda: len(m := members()) == 4 and m)
        strays = [p for p in pids if p != s.row("tree")["pid"]]
        same("those beside the main process", len(strays), 3)
        s.lops("stop", "tree", "-t", "1")
        same("those that live", [p for p in pids if start_ticks(p)], [])
        wait_for("the group to be gone", lambda: not groups("tree"))


def cpu_is_kept(bin_dir):
    with configured(bin_dir, busy=(["/bin/sh", "-c", "while :; do :; done"],
                                   {"cpu_percent": 20})) as s:
        s.up()
        if not kept(s, "cpu_percent"):
            return
        s.lops("start", "busy")
        pid = s.row("busy")["pid"]

        def used(folder):
            stat = dict(line.split() for line in open(folder + "/cpu.stat", encoding="ascii"))
            return int(stat["nr_throttled"])
        folder = wait_for("a group that counts",
                          lambda: [g for g in groups("busy") if os.path.exists(g + "/cpu.stat")
                                   and "nr_throttled" in open(g + "/cpu.stat").read()])[0]
        wait_for("it to be held back", lambda: used(folder) >= 3)
        check("it lives", start_ticks(pid))
        s.lops("set", "busy", "limits.cpu_percent=")
        s.lops("restart", "busy", "-t", "0")
        same("groups of one without limits", groups("busy"), [])
        s.lops("set", "busy", "limits=nofile=64,pids_max=9")
        s.lops("restart", "busy", "-t", "0")
        check("a group again", groups("busy"))
        s.lops("set", "busy", "limits.pids_max=", "limits.nofile=")
        s.lops("restart", "busy", "-t", "0")
        same("groups of one without limits", groups("busy"), [])
        s.lops("stop", "busy", "-t", "0")


def a_crash_of_ours_forgets_no_group(bin_dir):
    with configured(bin_dir, held=(["/bin/sleep", "600"], {"pids_max": 9})) as s:
        s.up()
        if not kept(s, "pids_max"):
            return
        s.lops("start", "held")
        before = s.row("held")
        check("it has a group", groups("held"))
        s.lops("set", "held", "reload_command=true")
        s.lops("restart", "held")
        s.lops("reload", "held")
        wait_for("the groups of the reload command to be gone", lambda: len(
            {os.path.basename(g) for g in groups("held")}) == 1)
        before = s.row("held")
        for part in ("process-manager", "broker"):
            os.kill(s.actors()[part][0], signal.SIGKILL)
            s.wait_well()
        for pid in s.members():
            os.kill(pid, signal.SIGKILL)
        s.wait_well()
        same("the same process", s.row("held")["pid"], before["pid"])
        check("it is in its group", groups("held"))
        s.lops("restart", "held")
        wait_for("one group a hierarchy, of the new instance", lambda: len(
            {os.path.basename(g) for g in groups("held")}) == 1)
        s.lops("delete", "held", "--force")
        wait_for("no group", lambda: not groups("held"))


def what_a_machine_does_not_keep_is_said(bin_dir):
    """Where there is no control group at all the program runs, and who starts it is told."""
    if os.geteuid() != 0:
        print("skipped: hiding control groups needs root", flush=True)
        return
    with configured(bin_dir, free=(["/bin/sleep", "600"],
                                   {"memory_max_mb": 64, "cpu_percent": 50, "pids_max": 5})) as s:
        script = ("mount --make-private /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup"
                  " || exit 77; exec \"$@\"")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", script, "sh", f"{s.bin}/lops-launch", "up",
             "--config", s.config], env=s.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60)
        if done.returncode == 77:
            print(f"skipped: control groups can't be hidden here: {done.stderr}", flush=True)
            return
        same("up", done.returncode, 0)
        done = s.lops("start", "free")
        said = done.stdout + done.stderr
        for key in ("memory_max_mb", "cpu_percent", "pids_max"):
            check(f"{key} is said", f"{key} is not enforced" in said, said)
        same("its status", s.row("free")["status"], "running")


def a_machine_out_of_processes_is_waited_for_then_said(bin_dir):
    """lops-init in a group that may not fork: a start waits for it to change, and does not wait for ever."""
    with Set(bin_dir) as s:
        s.up()
        if os.geteuid() != 0 or not kept(s, "pids_max"):
            return
        folder = doctor(s)["pids_max"]["value"].split(", ", 1)[1] + f"/lops-e2e-{os.getpid()}"
        os.mkdir(folder)

        def write(file, text):
            with open(f"{folder}/{file}", "w", encoding="ascii") as f:
                f.write(str(text))
        members = s.members()
        try:
            for pid in members:
                write("cgroup.procs", pid)
            write("pids.max", 0)
            with ThreadPoolExecutor() as pool:
                asked = pool.submit(s.start, "waits", "/bin/sleep", "600")
                wait_for("it to be starting", lambda: s.rows().get("waits", {}).get("status") == "starting")
                write("pids.max", "max")
                asked.result()
            same("its status", s.row("waits")["status"], "running")
            same("its starts", s.row("waits")["restarts"], 0)
            write("pids.max", 0)
            done = s.start("never", "/bin/sleep", "600", status=1)
            check("the reason is said", "no process can be made" in done.stdout + done.stderr,
                  done.stdout, done.stderr)
            write("pids.max", "max")
            s.start("later", "/bin/sleep", "600")
            same("the pair", s.members(), members)
        finally:
            write("pids.max", "max")
            s.launch("down")
            wait_for("the group to be empty", lambda: not open(folder + "/cgroup.procs").read())
            os.rmdir(folder)


if __name__ == "__main__":
    run([memory_is_kept_and_the_reason_is_said, processes_are_kept_and_none_escapes_a_stop,
         cpu_is_kept, a_crash_of_ours_forgets_no_group, what_a_machine_does_not_keep_is_said,
         a_machine_out_of_processes_is_waited_for_then_said])

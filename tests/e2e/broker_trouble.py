#!/usr/bin/python3
"""A set whose broker is stopped or whose journal is damaged: the rest of the set goes on, and so does what was
asked for meanwhile.

usage: broker_trouble.py BIN-FOLDER [TEST...]"""
import json
import os
import signal
import subprocess

from lops_set import Set, check, run, same, start_ticks, wait_for

ROUNDS = 10 if os.environ.get("LOPS_TEST_FULL") else 1


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def calls(s, *argv):
    return subprocess.Popen([os.path.join(s.bin, "lops"), *argv], env=s.env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def identity(s, *names):
    return {n: (s.row(n)["pid"], start_ticks(s.row(n)["pid"])) for n in names}


def a_stopped_broker(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        s.start("two", "sleep", "infinity")
        for n in range(ROUNDS):
            before, broker = identity(s, "one"), s.actors()["broker"][0]
            os.kill(broker, signal.SIGSTOP)
            wait_for("it to stop", lambda: state_of(broker) == "T")
            begun = calls(s, "restart", "two"), calls(s, "start", "--name", f"new{n}", "--", "sleep", "infinity")
            listed = 0
            while state_of(broker) == "T":  # lops-init continues it, or puts another in its place
                s.lops("list", "--json", timeout=10)
                same("the tree's own door", s.command("lops-init", "--status", s.run, timeout=10).returncode, 0)
                listed += 1
            check("the others answered while it stood", listed > 10, listed)
            for p in begun:
                out, error = p.communicate(timeout=60)
                same(f"what was asked for meanwhile: {out}{error}", p.returncode, 0)
            s.wait_well()
            s.wait_status(f"new{n}", "running")
            same("who was running", identity(s, "one"), before)
        events = [json.loads(line) for line in s.lops("events", "--since", "0", "--json").stdout.splitlines()]
        starts = [e for e in events if e["topic"] == "process.started/two"]
        same("each restart took effect once", len(starts), 1 + ROUNDS)


def a_damaged_journal(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        for name in ("one", "two", "three"):
            s.start(name, "sleep", "infinity")
        s.lops("stop", "three")
        before = identity(s, "one", "two")
        journal = os.path.join(s.state, "journal.db")
        broker = s.actors()["broker"][0]
        os.kill(broker, signal.SIGSTOP)
        with open(journal, "r+b") as f:
            f.write(bytes(4096))
        open(os.path.join(s.state, "journal.damaged"), "wb").close()
        os.kill(broker, signal.SIGKILL)
        wait_for("another one", lambda: (a := s.actors().get("broker")) and a[0] != broker and a[1])
        s.wait_well()
        check("it is kept", os.path.exists(journal + ".corrupt-1"), os.listdir(s.state))
        same("who was running", identity(s, "one", "two"), before)
        same("who was not", s.row("three")["status"], "stopped")
        s.lops("restart", "two")
        s.lops("start", "three")
        s.wait_status("three", "running")
        with open(os.path.join(s.state, "lops.log"), encoding="utf-8", errors="replace") as f:
            check("it is said aloud", "the journal was damaged" in f.read())


if __name__ == "__main__":
    run([a_stopped_broker, a_damaged_journal])

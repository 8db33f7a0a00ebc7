#!/usr/bin/python3
"""What people get wrong: each with the exit status and a sentence that helps.

usage: bad_input.py BIN-FOLDER [TEST...]"""
import os
import socket
import subprocess

from lops_set import Set, check, run, same, wait_for


def not_up(bin_dir):
    with Set(bin_dir) as s:
        done = s.lops("list", status=5)
        check("it names the command that starts it", "lops-launch up" in done.stderr, done.stderr)


def ids_and_names(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        for name in ("web-one", "web-two"):
            s.start(name, "sleep", "infinity")
        s.lops("status", "nothing", status=4)
        s.lops("stop", "nothing", status=4)
        ambiguous = s.lops("status", "web", status=None)
        check("an ambiguous prefix names the candidates",
              ambiguous.returncode in (2, 4, 6) and "web-one" in ambiguous.stderr, ambiguous.stderr)
        s.start("web-one", "sleep", "infinity", status=6)
        for name in ("a/b", "a\nb", "-a", "", "x" * 65, "web@1"):
            s.command("lops", "start", f"--name={name}", "--", "sleep", "infinity")
            same(f"name {name!r}", s.command("lops", "start", f"--name={name}", "--", "true").returncode, 2)
        same("nothing else was made", sorted(s.rows()), ["web-one", "web-two"])


def commands(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        text = os.path.join(s.root, "text")
        with open(text, "w", encoding="ascii") as f:
            f.write("\0\1\2 not a program")
        s.start("missing", "no-such-program-here", status=1)
        s.start("plain", text, status=1)
        os.chmod(text, 0o755)
        s.start("nobinary", text, status=1)
        s.start("folder", "sleep", "1", options=["-d", "/no/such/folder"], status=1)
        s.lops("start", "--name", "env", "--env", "NOVALUE", "--", "true", status=2)
        s.lops("start", "--name", "none", status=None)
        same("nothing is left behind", s.rows(), {})


def ports(bin_dir):
    with Set(bin_dir) as s, socket.socket() as taken:
        s.up()
        for port in ("0", "70000", "-1", "x"):
            s.lops("start", "--name", "p", f"--port={port}", "--", "sleep", "1", status=2)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = s.start("p", "sleep", "1", options=["--port", str(port), "--no-auto-find-port"], status=6)
        check("it names the holder", str(os.getpid()) in done.stderr, done.stderr)
        done = s.start("q", "sleep", "infinity", options=["--port", str(port)])
        check("it says which port it took", str(s.row("q")["port"]) in done.stderr, done.stderr)
        check("another one", s.row("q")["port"] != port)
        # q binds nothing, but the port is its own as long as it is to run.
        own = str(s.row("q")["port"])
        done = s.start("r", "sleep", "1", options=["--port", own, "--no-auto-find-port"], status=6)
        check("it names the deployment", f"port {own} is in use by deployment q" in done.stderr, done.stderr)
        done = s.start("r", "sleep", "infinity", options=["--port", own])
        check("it says whose port that is", "by deployment q; r gets port" in done.stderr, done.stderr)


def ten_ports_taken(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        held = []
        for first in range(20000, 60000, 50):
            held = []
            try:
                for port in range(first, first + 12):
                    k = socket.socket()
                    held.append(k)
                    k.bind(("127.0.0.1", port))
                    k.listen()
                break
            except OSError:
                for k in held:
                    k.close()
        s.start("p", "sleep", "1", options=["--port", str(first)], status=6)
        for k in held:
            k.close()


def state_folder(bin_dir):
    with Set(bin_dir) as s:
        os.mkdir(s.state, 0o777)
        os.chmod(s.state, 0o777)
        check("a folder that others can write is refused", s.launch("up", status=9).stderr)
        os.rmdir(s.state)
        os.symlink(s.root, s.state)
        s.launch("up", status=9)
        os.unlink(s.state)
        if os.geteuid() == 0:
            os.mkdir(s.state, 0o700)
            os.chown(s.state, 65534, 65534)
            s.launch("up", status=9)
            os.rmdir(s.state)
        s.up()


def read_only_or_full(bin_dir):
    if os.geteuid() != 0:
        return
    for options, fill in (("ro,size=8m", False), ("size=8m", True)):
        with Set(bin_dir) as s:
            os.mkdir(s.state, 0o700)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lops-e2e", s.state],
                              check=False).returncode:
                return
            try:
                os.chmod(s.state, 0o700) if fill else None
                done = s.command("lops-launch", "up")
                if fill:
                    same("it comes up", done.returncode, 0)
                    with open(os.path.join(s.state, "fill"), "wb", buffering=0) as f:
                        try:
                            while f.write(b"x" * 4096):
                                pass
                        except OSError:
                            pass
                    # Truthful: it works, or it says why not; it never hangs or lies.
                    started = s.command("lops", "start", "--name", "full", "--", "sleep", "infinity")
                    if started.returncode == 0:
                        same("it runs", s.row("full")["status"], "running")
                    else:
                        check("it says why", "No space" in started.stderr, started.returncode, started.stderr)
                    os.unlink(os.path.join(s.state, "fill"))
                    s.wait_well()
                    wait_for("room to be noticed", lambda: s.command(
                        "lops", "start", "--name", "after", "--", "sleep", "infinity").returncode in (0, 6))
                    same("it runs", s.row("after")["status"], "running")
                else:
                    check("a read-only folder is an error with a reason",
                          done.returncode not in (0, None) and done.stderr, done.stderr)
            finally:
                if os.path.exists(os.path.join(s.run, "init.sock")):
                    s.command("lops-launch", "down")
                wait_for("the folder to be left", lambda: subprocess.run(
                    ["umount", s.state], capture_output=True, check=False).returncode == 0)


def corrupt_database(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        s.launch("down")
        path = os.path.join(s.state, "journal.db")
        for name in ("journal.db-wal", "journal.db-shm"):
            if os.path.exists(os.path.join(s.state, name)):
                os.unlink(os.path.join(s.state, name))
        with open(path, "r+b") as f:
            f.seek(0)
            f.write(b"this is not a database" * 100)
        s.up()
        kept = [n for n in os.listdir(s.state) if n.startswith("journal.db.")]
        check("the broken file is kept aside", kept, os.listdir(s.state))
        with open(os.path.join(s.state, "lops.log"), encoding="utf-8", errors="replace") as f:
            check("it is said aloud", "journal" in f.read())


def unknown_words(bin_dir):
    with Set(bin_dir) as s:
        done = s.lops("lsit", status=2)
        check("the nearest command is named", "list" in done.stderr, done.stderr)
        done = s.lops("list", "--jsn", status=2)
        check("the nearest option is named", "--json" in done.stderr, done.stderr)
        s.launch("fly", status=2)
        s.launch("up", "--what", status=2)
        s.launch("up", "--config", "/no/such/file", status=2)


def a_bad_file_starts_nothing(bin_dir):
    with Set(bin_dir, "version: '1.0'\ndeploymnts: {}\n") as s:
        done = s.up(status=2)
        check("file, line and the nearest key", "lops.yaml:2" in done.stderr and "deployments" in done.stderr,
              done.stderr)
        same("no set", s.members(), [])


if __name__ == "__main__":
    run([not_up, ids_and_names, commands, ports, ten_ports_taken, state_folder, read_only_or_full,
         corrupt_database, unknown_words, a_bad_file_starts_nothing])

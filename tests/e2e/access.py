#!/usr/bin/python3
"""Who may reach a set and do what with it, and which folders are believed. Most of it needs root, to be
other users.

usage: access.py BIN-FOLDER [TEST...]"""
import grp
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading

from lops_set import Set, check, run, same, wait_for

STRANGER, OWNER = 65534, 54321


def is_root(what):
    if os.geteuid() == 0:
        return True
    print(f"skipped: {what} needs root", flush=True)
    return False


def groups():
    """Two groups that nobody here is a member of."""
    found = [g for g in grp.getgrall() if not g.gr_mem and g.gr_gid not in (0, STRANGER)]
    return found[-1], found[-2]


class Other:
    """A user that runs lops: files of its own, which another user's folders do not hide."""

    def __init__(self, s, uid, gids=()):
        self.s, self.drop = s, ["setpriv", f"--reuid={uid}", f"--regid={uid}"] + (
            [f"--groups={','.join(map(str, gids))}"] if gids else ["--clear-groups"])

    def __call__(self, program, *words, status=0, **env):
        done = subprocess.run([*self.drop, os.path.join(self.s.open_bin, program), *words],
                              env={**self.s.env, **env}, capture_output=True, text=True, cwd="/", check=False,
                              timeout=60, stdin=subprocess.DEVNULL)
        same(f"{program} {' '.join(words)}: {done.stdout}{done.stderr}", done.returncode, status)
        return done


class OpenSet(Set):
    """Its folders can be reached by others as far as the run folder lets them."""

    def __enter__(self):
        os.chmod(self.root, 0o755)
        self.open_bin = os.path.join(self.root, "bin")
        os.mkdir(self.open_bin)
        for name in os.listdir(self.bin):
            if name.startswith(("lops", "local-deploy")):
                shutil.copy(os.path.join(self.bin, name), self.open_bin, follow_symlinks=False)
        return self


def config_of(operate, observe):
    return f"""version: "1.0"
security: {{operate_group: "{operate}", observe_group: "{observe}"}}
deployments:
  web: {{command: sleep infinity, environment: {{SECRET: canary-in-the-cage}}}}
"""


def roles_of_groups(bin_dir):
    if not is_root("a member of a group"):
        return
    operators, observers = groups()
    with OpenSet(bin_dir, config_of(operators.gr_name, observers.gr_name)) as s:
        s.up()
        operator, observer = Other(s, STRANGER, [operators.gr_gid]), Other(s, STRANGER, [observers.gr_gid])
        stranger = Other(s, STRANGER)
        for member in (operator, observer):
            check("a list", "web" in member("lops", "list").stdout)
            member("lops", "status", "web")
            member("lops", "config", "show")
            seen = member("lops", "events", "--since", "0").stdout + member("lops", "status", "web", "--json").stdout
            check("no value of an environment", "canary" not in seen)
            check("private bodies stay so", "do.deployment.put/web" in seen and "(private)" in seen, seen)
            for words in (["start", "-n", "x", "--", "true"], ["delete", "web", "--force"], ["set", "web", "port=1"]):
                done = member("lops", *words, status=9)
                check("it says what is needed", "needs the role admin" in done.stderr and "root" in done.stderr,
                      done.stderr)
            error = json.loads(member("lops", "set", "web", "port=1", "--json", status=9).stdout)
            same("a document", error["error"]["status"], 9)
            check("whose output it is is said", "owner" in member("lops", "logs", "web", status=9).stderr)
        for words in (["stop", "web"], ["start", "web"], ["restart", "web"], ["signal", "web", "CONT"]):
            operator("lops", *words)
            done = observer("lops", *words, status=9)
            check("who may", operators.gr_name in done.stderr and "operate" in done.stderr, done.stderr)
        done = stranger("lops", "list", status=9)
        check("closed to others", "not open to you" in done.stderr or "closed" in done.stderr, done.stderr)
        for path, mode in ((s.run, 0o750), (s.run + "/api.sock", 0o660)):
            same(path, oct(stat.S_IMODE(os.stat(path).st_mode)), oct(mode))
        for name in ("bus", "tap", "init.sock", "notify.sock", "cookie"):
            mode = os.stat(os.path.join(s.run, name)).st_mode
            check(f"{name} stays closed", not mode & 0o077, oct(mode))
        # Also while the door is made anew.
        pid = s.actors()["coordinator"][0]
        os.kill(pid, signal.SIGKILL)
        operator("lops", "list")
        wait_for("another one", lambda: s.actors()["coordinator"][0] not in (0, pid))
        s.wait_well()
        observer("lops", "list")
        s.launch("down")
        with open(s.config, "w", encoding="utf-8") as f:
            f.write('version: "1.0"\n')
        s.up()
        same("closed again", oct(stat.S_IMODE(os.stat(s.run).st_mode)), oct(0o700))
        operator("lops", "list", status=9)


def a_group_that_is_none(bin_dir):
    with Set(bin_dir, config_of("no-such-group-here", "")) as s:
        done = s.up()
        check("it is said", "no-such-group-here" in done.stderr, done.stderr)
        same("nobody is let in", oct(stat.S_IMODE(os.stat(s.run).st_mode)), oct(0o700))


def an_owner_who_is_no_member(bin_dir):
    if not is_root("another owner"):
        return
    operators, _ = groups()
    with OpenSet(bin_dir, config_of(operators.gr_name, "")) as s:
        os.chmod(s.root, 0o777)
        owner = Other(s, OWNER)
        try:
            done = owner("lops-launch", "up", "--config", s.config)
            check("it is said", "can't be opened" in done.stderr, done.stderr)
            same("closed", oct(stat.S_IMODE(os.stat(s.run).st_mode)), oct(0o700))
            owner("lops", "list")
            s.lops("list")  # root administers
        finally:
            owner("lops-launch", "down")


# --- folders ---

def where(s, **env):
    """What both programs make of an environment: (run, state)."""
    env = {"PATH": s.env["PATH"], **env}
    cut = s.other if hasattr(s, "other") else []

    def said(*argv):
        out = subprocess.run([*cut, *argv], env=env, capture_output=True, text=True, check=True, cwd="/tmp").stdout
        rows = [line.split("folder", 1) for line in out.splitlines() if line.startswith(("run folder", "state folder"))]
        return tuple(r[1].split()[0] for r in rows)

    doctor = said(os.path.join(s.open_bin, "lops"), "doctor")
    launch = said(os.path.join(s.open_bin, "lops-launch"), "folders")
    same(f"both agree on {env}", doctor, launch)
    return doctor


def both_programs_agree_on_folders(bin_dir):
    with OpenSet(bin_dir) as s:
        tables = [(os.geteuid(), [])]
        if os.geteuid() == 0:
            tables.append((STRANGER, ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]))
        for uid, s.other in tables:
            given = {"LOPS_RUN_DIR": "/r", "LOPS_STATE_DIR": "/s"}
            xdg = {"XDG_RUNTIME_DIR": "/xr", "XDG_STATE_HOME": "/xs", "HOME": "/h"}
            same("given", where(s, **given, **xdg), ("/r", "/s"))
            same("relative to here", where(s, LOPS_RUN_DIR="r", LOPS_STATE_DIR="s"), ("/tmp/r", "/tmp/s"))
            if uid == 0:
                for env in (xdg, {"HOME": "/h"}, {}):
                    same("root's is the machine's", where(s, **env), ("/run/lops", "/var/lib/lops"))
                continue
            same("XDG", where(s, **xdg), ("/xr/lops", "/xs/lops"))
            same("empty is not set", where(s, **xdg, LOPS_RUN_DIR="", LOPS_STATE_DIR=""), ("/xr/lops", "/xs/lops"))
            same("home", where(s, HOME="/h"), (f"/tmp/lops-{uid}", "/h/.local/state/lops"))
            same("XDG that is relative is ignored", where(s, HOME="/h", XDG_RUNTIME_DIR="x", XDG_STATE_HOME="y"),
                 (f"/tmp/lops-{uid}", "/h/.local/state/lops"))
            done = subprocess.run([*s.other, s.open_bin + "/lops-launch", "folders"], env={"PATH": s.env["PATH"]},
                                  capture_output=True, text=True, check=False, cwd="/tmp")
            check("none is said", done.returncode == 2 and "LOPS_STATE_DIR" in done.stderr, done)


def the_recorded_folder_is_found(bin_dir):
    with OpenSet(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        del s.env["LOPS_RUN_DIR"]
        check("by the state folder alone", "one" in s.lops("list").stdout)
        s.other = []
        same("by both", where(s, LOPS_STATE_DIR=s.state), (s.run, s.state))
        record = os.path.join(s.state, "run-dir")
        for spoil, mend in ((lambda: os.chmod(record, 0o666), lambda: os.chmod(record, 0o600)),
                            (lambda: os.chmod(s.state, 0o777), lambda: os.chmod(s.state, 0o700))):
            spoil()
            s.lops("list", status=5 if os.geteuid() == 0 and not os.path.exists("/run/lops/api.sock") else None)
            mend()
        s.env["LOPS_RUN_DIR"] = s.run


def what_others_laid_out_is_not_believed(bin_dir):
    if not is_root("another user's folder"):
        return
    trap = f"/tmp/lops-{OWNER}"
    with OpenSet(bin_dir) as s:
        if os.path.lexists(trap):
            print(f"skipped: {trap} exists", flush=True)
            return
        for name in ("LOPS_RUN_DIR", "LOPS_STATE_DIR"):
            s.env.pop(name)
        victim, own = Other(s, OWNER), os.path.join(s.root, "own")
        os.mkdir(own, 0o700)
        os.chown(own, OWNER, OWNER)
        heard = []
        try:
            os.mkdir(trap, 0o755)
            os.chown(trap, STRANGER, STRANGER)
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(trap + "/api.sock")
                os.chmod(trap + "/api.sock", 0o777)
                door.listen()

                def serve():
                    try:
                        heard.append(door.accept())
                    except OSError:
                        pass

                threading.Thread(target=serve, daemon=True).start()
                done = victim("lops", "start", "-e", "SECRET=canary", "--", "true", status=9)
                check("why", "another user" in done.stderr, done.stderr)
                victim("lops-launch", "up", status=9, LOPS_STATE_DIR=own)
                os.chown(trap, OWNER, OWNER)
                os.chmod(trap, 0o777)
                check("why", "write" in victim("lops", "list", status=9).stderr)
                same("nobody was spoken to", heard, [])
            shutil.rmtree(trap)
            os.symlink(s.root, trap)
            os.lchown(trap, OWNER, OWNER)
            check("why", "symbolic link" in victim("lops", "list", status=9).stderr)
            os.unlink(trap)
            # The folder is the caller's own, and who answers in it is neither the caller nor root.
            os.mkdir(trap, 0o700)
            os.chown(trap, OWNER, OWNER)
            listener = subprocess.Popen(
                ["python3", "-c", "import os,socket,sys\nk = socket.socket(socket.AF_UNIX)\n"
                 f"k.bind('{trap}/api.sock')\nos.chmod('{trap}/api.sock', 0o777)\nos.setuid({STRANGER})\n"
                 "k.listen()\nprint('up', flush=True)\nk.accept()[0].recv(1)\nprint('heard', flush=True)"],
                stdout=subprocess.PIPE, text=True)
            same("it listens", listener.stdout.readline(), "up\n")
            check("why", "another user" in victim("lops", "list", status=9).stderr)
            same("it was told nothing", listener.communicate(timeout=30)[0], "heard\n")
        finally:
            if os.path.islink(trap):
                os.unlink(trap)
            shutil.rmtree(trap, ignore_errors=True)


def system_addresses_roots_set(bin_dir):
    if not is_root("root's set"):
        return
    if os.path.exists("/run/lops") or os.path.exists("/var/lib/lops"):
        print("skipped: this machine has a set of root", flush=True)
        return
    operators, _ = groups()
    with OpenSet(bin_dir, config_of(operators.gr_name, "")) as s:
        try:
            s.launch("--system", "up", "--config", s.config)
            same("nothing at the caller's", os.path.exists(s.run), False)
            for words in (["--system", "list"], ["list", "--system"], ["status", "web", "--system"],
                          ["restart", "web", "--system"], ["logs", "web", "--system"], ["events", "--system"],
                          ["config", "show", "--system"], ["set", "web", "environment.A=1", "--system"]):
                s.lops(*words)
            s.lops("list", status=5)
            member = Other(s, STRANGER, [operators.gr_gid])
            check("for a member too", "web" in member("lops", "--system", "list").stdout)
            Other(s, STRANGER)("lops", "--system", "list", status=9)
            check("only root launches it", "root" in member("lops-launch", "down", "--system", status=9).stderr)
            check("its folders", "/run/lops" in s.launch("status", "--system").stdout)
        finally:
            s.launch("down", "--system")
            shutil.rmtree("/run/lops", ignore_errors=True)
            shutil.rmtree("/var/lib/lops", ignore_errors=True)
        check("how to start it", "lops-launch --system up" in s.lops("list", "--system", status=5).stderr)


if __name__ == "__main__":
    run([roles_of_groups, a_group_that_is_none, an_owner_who_is_no_member, both_programs_agree_on_folders,
         the_recorded_folder_is_found, what_others_laid_out_is_not_believed, system_addresses_roots_set])

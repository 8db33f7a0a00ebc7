"""A real set in folders of its own, for the end-to-end tests. Waits for what it wants to see, never for
a time to pass."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

PATIENCE = 60


class Failed(Exception):
    pass


def check(what, condition, *more):
    if not condition:
        raise Failed(" ".join([what, *map(str, more)]))


def same(what, got, wanted):
    check(what, got == wanted, f": got {got!r}, wanted {wanted!r}")


def wait_for(what, fn, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for: {what}")
        time.sleep(0.01)


def start_ticks(pid):
    """Field 22 of /proc/PID/stat, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Set:
    def __init__(self, bin_dir, config=None):
        self.bin = os.path.abspath(bin_dir)
        self.root = tempfile.mkdtemp(prefix="lops-e2e-")
        self.run, self.state = os.path.join(self.root, "run"), os.path.join(self.root, "state")
        self.env = {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": self.root, "LANG": "C.UTF-8",
            "LOPS_RUN_DIR": self.run, "LOPS_STATE_DIR": self.state,
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.outputs = []
        self.config = None
        if config is not None:
            self.config = os.path.join(self.root, "lops.yaml")
            with open(self.config, "w", encoding="utf-8") as f:
                f.write(config)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error:
            self.show()
        if os.path.exists(os.path.join(self.run, "init.sock")):
            self.command("lops-launch", "down")
        for pid in self.members() + self.programs():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.root, ignore_errors=True)

    def show(self):
        try:
            with open(os.path.join(self.state, "lops.log"), errors="replace") as f:
                print("--- end of lops.log\n" + "".join(f.readlines()[-40:]))
        except OSError as e:
            print(e)

    # --- commands ---

    def command(self, *argv, timeout=120, **more):
        done = subprocess.run(
            [os.path.join(self.bin, argv[0]), *argv[1:]], env={**self.env, **more.pop("env", {})},
            cwd=more.pop("cwd", self.root), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=timeout, **more)
        self.outputs.append(done.stdout + done.stderr)
        return done

    def lops(self, *argv, status=0, **more):
        done = self.command("lops", *argv, **more)
        if status is not None and done.returncode != status:
            raise Failed(f"lops {' '.join(argv)}: status {done.returncode}, wanted {status}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def launch(self, *argv, status=0, **more):
        done = self.command("lops-launch", *argv, **more)
        if done.returncode != status:
            raise Failed(f"lops-launch {' '.join(argv)}: status {done.returncode}, wanted {status}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def up(self, status=0):
        return self.launch("up", *(["--config", self.config] if self.config else []), status=status)

    def start(self, name, *argv, options=(), status=0):
        return self.lops("start", "--name", name, *options, "--", *argv, status=status)

    def rows(self):
        return {d["deployment_id"]: d for d in json.loads(self.lops("list", "--json").stdout)["deployments"]}

    def row(self, name):
        return self.rows()[name]

    def wait_status(self, name, status):
        return wait_for(f"{name} to be {status}",
                        lambda: (r := self.rows().get(name)) and r["status"] == status and r)

    # --- processes ---

    def members(self):
        """The pair: processes that run lops-init on this run folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if self.run.encode() in words and words[0].endswith(b"lops-init") and start_ticks(pid):
                found.append(int(pid))
        return sorted(found)

    def programs(self):
        """Whatever was started by this set and still lives."""
        mark = f"LOPS_E2E={self.root}".encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if any(w.startswith(b"LOPS_INSTANCE=") for w in words) and (
                    mark in words or f"HOME={self.root}".encode() in words):
                found.append(int(pid))
        return found

    def actors(self):
        """name -> (pid, ready)"""
        done = self.command("lops-init", "--status", self.run)
        rows = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 5]
        return {r[0]: (int(r[1]), r[3] == "ready") for r in rows}

    def wait_well(self):
        """A pair, every actor ready, and the coordinator answers."""
        wait_for("the set to be whole", lambda: len(self.members()) >= 2 and (a := self.actors())
                 and all(ready for _, ready in a.values()))
        wait_for("the coordinator to answer",
                 lambda: self.command("lops", "list", "--json").returncode == 0)

    def log(self, name, stream="out"):
        folder = os.path.join(self.state, "logs", name)
        files = sorted((f for f in os.listdir(folder) if f.startswith(stream + ".log")),
                       key=lambda f: -int(f.split(".")[2]) if f.count(".") == 2 else 0) \
            if os.path.isdir(folder) else []
        text = b""
        for file in files:
            with open(os.path.join(folder, file), "rb") as f:
                text += f.read()
        return text


def run(tests):
    """Each test is a function of the folder with the executables. Prints one line a test."""
    bin_dir, only = sys.argv[1], sys.argv[2:]
    failed = 0
    for test in tests:
        if only and test.__name__ not in only and not only[0].startswith("-"):
            continue
        begun = time.monotonic()
        try:
            test(bin_dir)
            print(f"ok     {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception as e:  # every kind of failure is one of the test
            failed += 1
            if not isinstance(e, Failed):
                traceback.print_exc()
            print(f"FAILED {test.__name__}: {e}", flush=True)
    sys.exit(1 if failed else 0)

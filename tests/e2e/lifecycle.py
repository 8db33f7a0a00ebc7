#!/usr/bin/python3
"""What a person does with a set, from up to down, as root and as an ordinary user.

usage: lifecycle.py BIN-FOLDER [TEST...]"""
import concurrent.futures
import json
import os
import signal
import stat
import subprocess
import sys

from lops_set import Set, check, free_port, run, same, start_ticks, wait_for

COUNT = "import time,itertools\nfor i in itertools.count(): print(i, flush=True); time.sleep(.01)"


def thin_line(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        same("the id alone is printed", s.start("one", "sleep", "infinity").stdout, "one\n")
        row = s.wait_status("one", "running")
        ticks = start_ticks(row["pid"])
        check("it runs", ticks)
        same("status of what runs", s.lops("status", "one").returncode, 0)
        document = json.loads(s.lops("status", "one", "--json").stdout)
        check("the document has a schema version", document["schema_version"])
        same("a start of what runs", s.lops("start", "one").returncode, 0)
        same("the same process", s.row("one")["pid"], row["pid"])
        s.lops("restart", "one")
        again = s.wait_status("one", "running")
        check("a restart makes another process", again["pid"] != row["pid"])
        s.lops("stop", "one")
        same("stopped", s.row("one")["status"], "stopped")
        check("it is gone", start_ticks(again["pid"]) is None)
        s.lops("status", "one", status=3)
        same("a stop of what is stopped", s.lops("stop", "one").returncode, 0)
        s.lops("delete", "one", "--yes")
        s.lops("status", "one", status=4)
        s.launch("down")
        same("nothing is left of the set", s.members(), [])


def exits_are_told(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("good", "sh", "-c", "exit 0")
        s.wait_status("good", "exited")
        s.start("bad", "sh", "-c", "exit 7")
        same("exit code", s.wait_status("bad", "crashed")["exit_code"], 7)
        s.start("killed", "sh", "-c", "kill -SEGV $$")
        same("signal", s.wait_status("killed", "crashed")["signal"], signal.SIGSEGV)


def output_is_captured(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        check("nothing was captured yet", not os.path.exists(s.state + "/logs"))
        s.start("talk", "sh", "-c", "echo to out; echo to err >&2; exec sleep infinity")
        wait_for("the output", lambda: s.log("talk") == b"to out\n" and s.log("talk", "err") == b"to err\n")
        same("its mode", stat.S_IMODE(os.stat(s.state + "/logs/talk/out.log").st_mode), 0o600)
        check("lops logs shows it", "to out" in s.lops("logs", "talk").stdout)


def stop_takes_the_whole_tree(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        pids = os.path.join(s.root, "pids")
        s.start("tree", "sh", "-c",
                f"setsid sh -c 'trap : TERM; echo $$ >>{pids}; while :; do sleep 1; done' & "
                f"sh -c 'echo $$ >>{pids}; exec sleep infinity' & echo $$ >>{pids}; exec sleep infinity")
        wait_for("three processes", lambda: os.path.exists(pids) and len(open(pids).read().split()) == 3)
        s.lops("stop", "tree", "-t", "2")
        for pid in open(pids).read().split():
            check("of its tree nothing is left", start_ticks(pid) is None, pid)


def down_and_up_keep_the_intent(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("run", "sleep", "infinity")
        s.start("not", "sleep", "infinity")
        s.lops("stop", "not")
        pid = s.row("run")["pid"]
        s.launch("down")
        check("down stops the programs", start_ticks(pid) is None)
        s.up()
        s.wait_status("run", "running")
        same("what was stopped stays so", s.row("not")["status"], "stopped")


def down_keep_and_up_take_over(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("run", "python3", "-c", COUNT)
        pid = s.row("run")["pid"]
        ticks = start_ticks(pid)
        s.launch("down", "--keep")
        same("it runs on", start_ticks(pid), ticks)
        s.lops("list", status=5)
        s.up()
        s.wait_well()
        row = s.row("run")
        same("the same process", (row["pid"], start_ticks(pid), row["restarts"]), (pid, ticks, 0))


def what_outlived_all_of_ours_is_taken_over(bin_dir):
    flood = "import os,itertools\nfor i in itertools.count(): os.write(1, b'%d\\n' % i)"
    with Set(bin_dir) as s:
        s.up()
        s.start("flood", "python3", "-c", flood)
        s.start("quiet", "sleep", "infinity")
        before = {name: (row["pid"], start_ticks(row["pid"])) for name, row in s.rows().items()}
        wait_for("output", lambda: s.log("flood"))
        ours = s.members() + [pid for pid, _ in s.actors().values()]
        for signo in (signal.SIGSTOP, signal.SIGKILL):
            for pid in ours:
                os.kill(pid, signo)
        wait_for("them to be gone", lambda: not any(start_ticks(pid) for pid in ours))
        s.up()
        for name, (pid, ticks) in before.items():
            row = s.row(name)
            same(f"{name} as before", (row["pid"], start_ticks(row["pid"]), row["status"], row["restarts"]),
                 (pid, ticks, "running", 0))
        captured = len(s.log("flood"))
        wait_for("output to go on", lambda: len(s.log("flood")) > captured + 200000)
        os.kill(before["flood"][0], signal.SIGKILL)
        row = s.wait_status("flood", "crashed")
        same("how it ended, where the kernel tells", row["signal"], told_signal(signal.SIGKILL))
        numbers = [int(n) for n in s.log("flood").rsplit(b"\n", 1)[0].split()]
        check("no number is missing or twice", all(a + 1 == b for a, b in zip(numbers, numbers[1:])))
        s.lops("stop", "quiet")
        check("it is stopped", start_ticks(before["quiet"][0]) is None)
        s.lops("restart", "flood")
        s.wait_status("flood", "running")


def told_signal(signo):
    """Of a child that fell to pid 1 the kernel tells the status from 6.15 on."""
    major, minor = (int(n) for n in os.uname().release.split(".")[:2])
    return signo if (major, minor) >= (6, 15) else None


def a_second_up_says_so(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        check("it says that it is up", "already" in s.up().stderr)
        other = s.launch("up", status=6, env={"LOPS_RUN_DIR": s.run + "2"})
        check("it names the pid", any(str(p) in other.stderr for p in s.members()), other.stderr)


def the_file_is_carried_out(bin_dir):
    port = free_port()
    config = f"""version: "1.0"
deployments:
  web:
    command: [python3, -m, http.server, "{{{{port}}}}", --bind, 127.0.0.1]
    port: {port}
    environment: {{COLOUR: "blue green"}}
    limits: {{nofile: 333}}
    umask: "027"
  off:
    command: sleep infinity
    autostart: false
"""
    with Set(bin_dir, config) as s:
        s.up()
        row = s.wait_status("web", "running")
        same("port", row["port"], port)
        check("off is known and not started", s.row("off")["status"] == "stopped")
        with open(f"/proc/{row['pid']}/environ", "rb") as f:
            words = f.read().split(b"\0")
        check("environment", b"COLOUR=blue green" in words and b"PORT=%d" % port in words)
        check("its names", b"LOPS_DEPLOYMENT=web" in words)
        check("nothing of ours leaks", not any(w.startswith((b"LOPS_RUN_DIR", b"LOPS_LOG", b"LOPS_UP_ID"))
                                               for w in words), words)
        with open(f"/proc/{row['pid']}/limits", encoding="ascii") as f:
            files = next(line for line in f if line.startswith("Max open files"))
        check("limit", " 333 " in files, files)


def notify_makes_it_ready(bin_dir):
    config = """version: "1.0"
deployments:
  late:
    ready: notify
    command:
      - python3
      - -c
      - |
        import os, socket, time
        while not os.path.exists(os.environ["GO"]): time.sleep(.01)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"]); s.send(b"READY=1\\nSTATUS=well")
        time.sleep(1e6)
    environment: {GO: "%s"}
"""
    with Set(bin_dir) as probe:
        go = os.path.join(probe.root, "go")
        with Set(bin_dir, config % go) as s:
            up = subprocess.Popen([os.path.join(s.bin, "lops-launch"), "up", "--config", s.config],
                                  env=s.env, stderr=subprocess.DEVNULL)
            wait_for("the API", lambda: s.command("lops", "list").returncode == 0)
            same("before READY=1", s.wait_status("late", "starting")["status"], "starting")
            open(go, "w").close()
            s.wait_status("late", "running")
            same("up returns when it is ready", up.wait(60), 0)


def a_start_that_waits_tells_the_truth(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        done = s.lops("start", "--name", "brief", "--wait", "--", "sh", "-c", "exit 7", status=3)
        same("stdout holds the id", done.stdout, "brief\n")
        check("it says how it ended", "code 7" in done.stderr, done.stderr)
        same("the deployment stays", s.row("brief")["status"], "crashed")
        for _ in range(20):
            s.lops("start", "brief", "--wait", status=3)
        s.lops("start", "brief")
        s.lops("start", "--name", "long", "--wait=running", "--", "sleep", "infinity")
        s.lops("start", "--name", "no", "--wait", "--", "/no/such/program", status=1)
        # Without --wait exec is enough, whatever its ready rule.
        s.lops("start", "--name", "silent", "--wait", "--timeout", "1", "--", "sleep", "infinity")
        s.lops("set", "silent", "ready=notify")
        s.lops("stop", "silent")
        s.lops("start", "silent")
        same("it is not ready", s.row("silent")["status"], "starting")
        s.lops("start", "silent", "--wait", "--timeout", "0.5", status=7)


def environment_is_inherited_as_asked(bin_dir):
    config = """version: "1.0"
deployments:
  none: {command: sleep infinity}
  every: {command: sleep infinity, inherit_environment: true}
  some: {command: sleep infinity, inherit_environment: [FAR_*]}
"""
    with Set(bin_dir, config) as s:
        s.env.update(FAR_AWAY="1", NEAR="2")
        s.up()
        for name, wanted in (("none", set()), ("every", {b"FAR_AWAY=1", b"NEAR=2"}), ("some", {b"FAR_AWAY=1"})):
            with open(f"/proc/{s.wait_status(name, 'running')['pid']}/environ", "rb") as f:
                words = set(f.read().split(b"\0"))
            same(name, words & {b"FAR_AWAY=1", b"NEAR=2"}, wanted)
            check("the usual ones", any(w.startswith(b"PATH=") for w in words))
            check("nothing of ours", not any(w.startswith((b"LOPS_UP_ID=", b"LOPS_LOG=")) for w in words), words)


def the_death_of_a_part_is_told_once(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        killed = {}
        for name in ("broker", "log-monitor", "coordinator", "process-manager"):
            killed[name] = s.actors()[name][0]
            os.kill(killed[name], signal.SIGKILL)
            s.wait_well()

        def told():
            lines = s.lops("events", "--since", "0", "--topic", "actor.died", "--json").stdout.splitlines()
            return [(b["actor"], b["pid"], b["reason"]) for b in (json.loads(x)["body"] for x in lines)]
        wait_for("each to be told", lambda: {(a, p) for a, p, _ in told()} >= set(killed.items()))
        same("once each", sorted((a, p) for a, p, _ in told()), sorted(killed.items()))
        check("why", all("SIGKILL" in why for _, _, why in told()), told())


def a_reload_command_runs_beside_it(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        done = os.path.join(s.root, "done")
        s.start("web", "sleep", "infinity", options=["-e", f"DONE={done}"])
        pid = s.row("web")["pid"]
        s.lops("set", "web", 'reload_command=sh -c "echo reloaded; echo $COUNT >>$DONE"', "environment.COUNT=1")
        s.lops("reload", "web")
        with open(done, encoding="ascii") as f:
            same("once", f.read(), "1\n")
        same("the program itself goes on", s.row("web")["pid"], pid)
        wait_for("its output", lambda: b"reloaded" in s.log("web"))
        s.lops("set", "web", "reload_command=sh -c 'exit 4'")
        failed = s.lops("reload", "web", status=1)
        check("it says what came of it", "code 4" in failed.stderr, failed.stderr)
        s.lops("set", "web", "reload_command=/no/such/thing")
        check("what is missing is named", "/no/such/thing" in s.lops("reload", "web", status=1).stderr)
        # Its spec changes and the process-manager dies while it runs: it ran once, and nobody lies about it.
        s.lops("set", "web", 'reload_command=sh -c "echo x >>$DONE.slow; sleep 1"')
        for kill in (False, True):
            calls = subprocess.Popen([os.path.join(s.bin, "lops"), "reload", "web"], env=s.env, stderr=subprocess.PIPE)
            lines = 2 if kill else 1
            wait_for("it to begin", lambda: os.path.exists(done + ".slow")
                     and os.path.getsize(done + ".slow") == 2 * lines)
            if kill:
                os.kill(s.actors()["process-manager"][0], signal.SIGKILL)
            else:
                s.lops("set", "web", "environment.COUNT=2")
            said = calls.communicate(timeout=60)[1]
            same("its answer", (calls.returncode, b"not known" in said), (1, True) if kill else (0, False))
            same("once", os.path.getsize(done + ".slow"), 2 * lines)
        # Nor does one that still runs keep the set up.
        s.lops("set", "web", 'reload_command=sh -c "echo x >>$DONE.held; sleep infinity"')
        calls = subprocess.Popen([os.path.join(s.bin, "lops"), "reload", "web"], env=s.env, stderr=subprocess.DEVNULL)
        wait_for("it to begin", lambda: os.path.exists(done + ".held"))
        s.launch("down")
        calls.kill()
        calls.wait()
        same("nothing is left of it", s.programs(), [])
        s.up()
        if os.environ.get("LOPS_TEST_FULL"):
            s.lops("set", "web", "reload_command=sleep infinity")
            check("it is bounded", "30 s" in s.lops("reload", "web", status=1, timeout=90).stderr)
        s.lops("stop", "web")
        s.lops("reload", "web", status=3)


def children_are_clean(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("clean", "sleep", "infinity")
        pid = s.row("clean")["pid"]
        wait_for("its exec", lambda: b"sleep" in open(f"/proc/{pid}/cmdline", "rb").read())
        fds = sorted(os.listdir(f"/proc/{pid}/fd"), key=int)
        same("descriptors", fds, ["0", "1", "2"])
        same("stdin", os.readlink(f"/proc/{pid}/fd/0"), "/dev/null")
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            masks = dict(line.rstrip().split(":\t") for line in f if line.startswith("Sig"))
        same("blocked signals", int(masks["SigBlk"], 16), 0)
        same("ignored signals", int(masks["SigIgn"], 16), 0)
        same("session and group", (os.getsid(pid), os.getpgid(pid)), (pid, pid))


def secrets_stay_inside(bin_dir):
    canary = "canary-3f9a1c"
    with Set(bin_dir) as s:
        s.up()
        s.start("secret", "sleep", "infinity", options=["--env", f"TOKEN={canary}"])
        for words in (["status", "secret"], ["status", "secret", "--json"], ["list", "--json"],
                      ["events", "--json"], ["events"], ["config", "show"], ["doctor"]):
            done = s.command("lops", *words)
            check(f"lops {' '.join(words)} keeps it", canary not in done.stdout + done.stderr)
        for folder, _, files in os.walk(s.root):
            for name in files:
                path = os.path.join(folder, name)
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    continue
                with open(path, "rb") as f:
                    if canary.encode() in f.read():
                        same(f"{name} is for the owner only", stat.S_IMODE(os.stat(path).st_mode), 0o600)
                        check("it is the journal", name.startswith("journal.db"), path)


def a_thousand_calls_at_once(bin_dir):
    many = 1000 if os.environ.get("LOPS_TEST_FULL") else 200
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        with concurrent.futures.ThreadPoolExecutor(many) as pool:
            answers = list(pool.map(lambda _: s.command("lops", "list", "--json").returncode, range(many)))
        check("answered, or told busy", set(answers) <= {0, 7}, sorted(set(answers)))
        check("most are answered", answers.count(0) >= many // 2, answers.count(0))
        s.wait_well()


def launched_with_closed_descriptors(bin_dir):
    with Set(bin_dir) as s:
        s.command("lops-launch", "up", preexec_fn=lambda: [os.close(i) for i in (0,)])
        s.wait_well()
        s.start("one", "sleep", "infinity")
        same("descriptors", sorted(os.listdir(f"/proc/{s.row('one')['pid']}/fd")), ["0", "1", "2"])


def another_user(bin_dir):
    if os.geteuid() != 0:
        return
    with Set(bin_dir) as s:
        s.up()
        s.start("other", "sleep", "infinity", options=["--user", "nobody", "-d", "/"])
        pid = s.wait_status("other", "running")["pid"]
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            uids = next(line for line in f if line.startswith("Uid:")).split()[1:]
        same("uids", set(uids), {"65534"})


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    run([thin_line, exits_are_told, output_is_captured, stop_takes_the_whole_tree,
         down_and_up_keep_the_intent, down_keep_and_up_take_over, what_outlived_all_of_ours_is_taken_over,
         a_second_up_says_so, the_file_is_carried_out, notify_makes_it_ready,
         a_start_that_waits_tells_the_truth, a_reload_command_runs_beside_it,
         environment_is_inherited_as_asked, the_death_of_a_part_is_told_once, children_are_clean,
         secrets_stay_inside, a_thousand_calls_at_once, launched_with_closed_descriptors, another_user])

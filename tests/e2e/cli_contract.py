#!/usr/bin/python3
"""What the command line promises, row by row: flags, output, documents and exit statuses.

usage: cli_contract.py BIN-FOLDER [TEST...]"""
import gzip
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import tempfile
import time

from lops_set import Failed, Set, check, run, same, start_ticks, wait_for

FULL = bool(os.environ.get("LOPS_TEST_FULL"))
PROCESS = {
    "deployment_id": str, "pid": int, "ppid": int, "status": str, "intent": str, "generation": int,
    "pending": bool, "command": list, "port": int, "start_time": float, "uptime_seconds": float,
    "memory_mb": float, "cpu_percent": float, "log_file": str, "exit_code": int, "signal": int, "restarts": int}
DOCUMENT = {
    "process": PROCESS,
    "health": {"overall_status": str, "last_check": float, "checks": list},
    "restart_history": {
        "total_restarts": int, "successful_restarts": int, "failed_restarts": int,
        "circuit_breaker_state": str, "auto_restart_enabled": bool, "next_restart_at": float,
        "last_restart": float, "recent_attempts": list},
    "memory_trend": {"current_mb": float, "growth_rate_mb_per_minute": float, "confidence": float,
                     "leak_detected": bool, "exhausts_at": float},
    "resource_status": {
        "issues": list, "critical": bool, "file_descriptors": int, "fd_limit": int, "thread_count": int,
        "connection_count": int, "connections_by_state": dict, "disk_free_mb": float},
    "log_errors": list}


def has_shape(what, got, wanted):
    if isinstance(wanted, dict):
        for key, kind in wanted.items():
            check(f"{what} has {key}", key in got, got)
            has_shape(f"{what}.{key}", got[key], kind)
    elif got is not None:
        check(f"{what} is of {wanted}", isinstance(got, (wanted, int) if wanted is float else wanted), got)


def the_documents(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        document = json.loads(s.lops("start", "--name", "one", "--json", "--", "sleep", "infinity").stdout)
        same("schema_version", document["schema_version"], 1)
        has_shape("start", document, DOCUMENT)
        same("a start's record is of its end", document["process"]["status"], "running")
        has_shape("status", json.loads(s.lops("status", "one", "--json").stdout), DOCUMENT)
        s.start("two", "sleep", "infinity")
        s.lops("stop", "two")
        has_shape("status", json.loads(s.lops("status", "two", "--json", status=3).stdout), DOCUMENT)
        for words in (("list", "--json"), ("status", "--json"), ("list", "*", "--json")):
            listed = json.loads(s.lops(*words).stdout)
            same("schema_version", listed["schema_version"], 1)
            same("all of them", [d["deployment_id"] for d in listed["deployments"]], ["one", "two"])
            has_shape("list", listed["deployments"][0], {**PROCESS, "overall_status": str})
        same("filtered", [d["deployment_id"] for d in json.loads(
            s.lops("list", "--status", "RUNNING", "--json").stdout)["deployments"]], ["one"])
        many = json.loads(s.lops("start", "one", "two", "--json").stdout)
        same("several", [d["status"] for d in many["deployments"]], ["running", "running"])
        for words in (("stop", "two"), ("restart", "one"), ("reload", "one"), ("signal", "one", "CONT"),
                      ("set", "one", "environment.A=1"), ("delete", "two", "--yes")):
            done = s.lops(*words, "--json", status=None)
            document = json.loads(done.stdout)
            check(f"{words[0]} gives one document", document["schema_version"] == 1, done.stdout)
        values = json.loads(s.lops("config", "show", "--json").stdout)["values"]
        has_shape("config", values[0], {"key": str, "value": str, "source": str})
        json.loads(s.lops("doctor", "--json").stdout)


def failures_are_documents(bin_dir):
    with Set(bin_dir) as s:
        s.env["LOPS_RUN_DIR"] = s.root + "/nowhere"
        rows = [(5, "list"), (2, "list", "--bogus"), (2, "status", "a", "b"), (2, "list", "--status", "odd"),
                (5, "start", "one"), (2, "signal", "one", "NOSUCH"), (2, "set", "one"),
                (2, "start", "--env", "X", "--", "true"), (2, "config", "check", "/no/such/file")]
        for status, *words in rows:
            done = s.lops(*words, "--json", status=status) if "--" not in words else \
                s.lops(words[0], "--json", *words[1:], status=status)
            error = json.loads(done.stdout)
            same("schema_version", error["schema_version"], 1)
            same(f"{words}", error["error"]["status"], status)
            check("in words", error["error"]["message"])
        s.env["LOPS_RUN_DIR"] = s.run
        s.up()
        for status, *words in ((4, "status", "none"), (4, "start", "none"), (4, "stop", "x*"), (4, "list", "@g"),
                               (1, "start", "-n", "x", "-c", "/no/such/program")):
            same(words, json.loads(s.lops(*words, "--json", status=status).stdout)["error"]["status"], status)


def every_command_helps(bin_dir):
    with Set(bin_dir) as s:
        verbs = ["start", "stop", "restart", "reload", "signal", "status", "list", "logs", "set", "delete",
                 "events", "config", "doctor"]
        overview = s.lops("--help").stdout
        for verb in verbs:
            check("the overview names it", f"  {verb}" in overview, verb)
            for word in ("--help", "-h"):
                done = s.lops(verb, word)
                check("usage", done.stdout.startswith(f"usage: lops {verb}") and not done.stderr, done)
            near = s.lops(verb, "--hepl", status=2)
            check("the nearest option", "--help" in near.stderr, near.stderr)
        for verb in ("health", "monitor", "history", "pause", "edit", "why", "plan", "apply"):
            check("said to be missing", "not there yet" in s.lops(verb, status=2).stderr)
        for words in (("logs", "x", "-f"), ("logs", "x", "--since", "1"), ("events", "-f"),
                      ("start", "--health-check", "u", "--", "x"), ("start", "--wait=healthy", "--", "x"),
                      ("start", "--wait=stable=5", "--", "x"), ("list", "--format", "pm2"), ("config", "reload")):
            check(f"{words}", "not there yet" in s.lops(*words, status=2).stderr)
        same("the second name", subprocess.run([s.bin + "/local-deploy", "--help"], env=s.env, check=True,
                                               capture_output=True, text=True).stdout, overview)


def standard_streams(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        for i in range(8):
            s.start(f"n{i}", "sleep", "infinity")

        def shell(text, **env):
            done = subprocess.run(["bash", "-c", text], env={**s.env, **env}, capture_output=True, text=True,
                                  check=False, timeout=60)
            return done.returncode, done.stdout, done.stderr

        same("SIGPIPE is quiet", shell("for i in 1 2 3 4 5; do lops config show | head -1 >/dev/null; done")[2], "")
        for words in ("list", "list --json", "status n1", "config show"):
            for where in (">&-", ">/dev/full"):
                status, _, error = shell(f"lops {words} {where}")
                check(f"{words} {where} is a failure that is said", status == 1 and "standard output" in error,
                      status, error)
        same("everything closed", shell("lops list <&- >&- 2>&-")[0], 1)
        for term in ("dumb", "", "xterm-256color"):
            for more in ({}, {"NO_COLOR": "1"}, {"COLUMNS": "0"}):
                status, out, _ = shell("lops list; lops status n1", TERM=term, **more)
                check("no colour", status == 0 and "\x1b" not in out, out)


def control_c(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("deaf", "python3", "-c", "import signal,time\nsignal.signal(15, signal.SIG_IGN)\n"
                "print('ready', flush=True)\ntime.sleep(1000)")
        wait_for("it to be deaf", lambda: s.log("deaf"))
        waiting = subprocess.Popen([s.bin + "/lops", "stop", "deaf", "-t", "60"], env=s.env)
        s.wait_status("deaf", "stopping")
        waiting.send_signal(signal.SIGINT)
        same("interrupted", waiting.wait(30), 130)
        s.lops("stop", "deaf", "--force")
        same("stopped", s.row("deaf")["status"], "stopped")


def a_string_is_split_as_a_shell_does(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        show = "python3 -c 'import sys; print(sys.argv[1:])' "
        for i, (text, wanted) in enumerate((
                (r"a\ b 'c d' \"e\"", ["a b", "c d", '"e"']), ('"a\'b" c""d \'\'', ["a'b", "cd", ""]),
                ("$HOME * | ; > x #y", ["$HOME", "*", "|", ";", ">", "x", "#y"]), ("-- --wait", ["--", "--wait"]))):
            s.lops("start", "-n", f"s{i}", "-c", show + text)
            wait_for("its words", lambda i=i: s.log(f"s{i}"))
            same(text, s.log(f"s{i}").decode(), f"{wanted}\n")
        for text in ("'open", '"open', "end\\", "", "   "):
            s.lops("start", "-n", "bad", "-c", text, status=2)
        s.lops("start", "-c", "true", "--", "true", status=2)
        s.lops("start", "word", "-c", "true", status=2)
        check("options without a command are not lost",
              "--port" in s.lops("start", "--port", "1", "s0", status=2).stderr)
        same("words after -- are ids", s.lops("list", "--", "none", status=4).stdout, "")
        generated = s.lops("start", "-c", "sleep 1000").stdout.strip()
        check("a generated id", len(generated) == 28 and generated.startswith("deployment-"), generated)
        same("stdout holds the id of a prefix", s.lops("start", generated[:25]).stdout, generated + "\n")


def an_env_file_is_checked(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        path = os.path.join(s.root, "env")
        for text, where in (("A=1\n=x\n", ":2:"), ("A=1\n\nNOVALUE\n", ":3:"), ("A='open\n", ":1:")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            done = s.lops("start", "-n", "x", "--env-file", path, "--", "true", status=2)
            check("file and line", path + where in done.stderr, done.stderr)
        s.lops("start", "-n", "x", "--env-file", path + ".none", "--", "true", status=2)
        with open(path, "w", encoding="utf-8") as f:
            f.write("# comment\nexport A=file\nB='b c'\n")
        s.lops("start", "-n", "x", "--env-file", "env", "-e", "A=given", "--", "sh", "-c", 'echo "$A $B"')
        wait_for("its output", lambda: s.log("x"))
        same("what is given wins", s.log("x"), b"given b c\n")


CONFIG = """version: "1.0"
deployments:
  a1: {command: sleep infinity, groups: [g]}
  a2: {command: sleep infinity, groups: [g]}
  b1: {command: sleep infinity}
"""


def ids_globs_groups_and_all(bin_dir):
    with Set(bin_dir, CONFIG) as s:
        s.up()

        def stopped(*words):
            s.lops("stop", *words)
            now = {i for i, d in s.rows().items() if d["status"] == "stopped"}
            s.lops("start", "--all")
            same("started", {d["status"] for d in s.rows().values()}, {"running"})
            return now

        same("two ids", stopped("a1", "b1"), {"a1", "b1"})
        same("a glob", stopped("a*"), {"a1", "a2"})
        same("a group", stopped("@g"), {"a1", "a2"})
        same("a prefix", stopped("b"), {"b1"})
        same("all", stopped("--all"), {"a1", "a2", "b1"})
        s.lops("stop", "a1", "none", status=4)
        same("one wrong word: nothing is done", s.row("a1")["status"], "running")
        s.lops("stop", status=2)
        s.lops("stop", "a1")
        same("stopped already", s.lops("stop", "a1", "a2").returncode, 0)
        s.lops("restart", "a1")
        same("a restart starts what is stopped", s.row("a1")["status"], "running")
        pids = {i: d["pid"] for i, d in s.rows().items()}
        s.lops("restart", "--all", "--parallel")
        check("all are others", all(d["pid"] != pids[i] for i, d in s.rows().items()))
        s.lops("signal", "a1", "b1", "SIGTERM")
        s.wait_status("b1", "crashed")
        s.lops("signal", "b1", "TERM", status=3)
        s.lops("signal", "a2", status=2)
        s.lops("delete", "a2", status=2)
        s.lops("delete", "a2", "--yes", status=6)
        s.lops("delete", "a2", "--force")
        same("an answer is of what is", sorted(s.rows()), ["a1", "b1"])


def stop_and_timeouts(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        deaf = "import signal,time\nsignal.signal(15, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(1000)"
        for name, words in (("zero", ["-t", "0"]), ("force", ["--force"])):
            s.start(name, "python3", "-c", deaf)
            wait_for("it to be deaf", lambda name=name: s.log(name))
            pid = s.row(name)["pid"]
            s.lops("stop", name, *words)
            check("it is gone", start_ticks(pid) is None)
            same("and said so", s.row(name)["signal"], signal.SIGKILL)
            said = s.lops("status", name, status=3).stdout
            check("no timeout is blamed", "(SIGKILL) on request" in said, said)
        for bad in ("-1", "x", "1e9", ""):
            s.lops("stop", "zero", f"--timeout={bad}", status=2)
        s.lops("start", "--timeout", "0", "-n", "x", "--", "true", status=2)
        s.start("quiet", "sleep", "infinity")
        s.lops("stop", "quiet")
        s.lops("set", "quiet", "ready=notify")
        done = s.lops("start", "quiet", "--wait", "--timeout", "0.3", status=7)
        check("its outcome is open", "open" in done.stderr, done.stderr)
        same("it is still starting", s.lops("status", "quiet", status=3).returncode, 3)


def wait_is_always_the_truth(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.lops("start", "-n", "false", "--wait", "--", "false", status=3)
        for i in range(200 if FULL else 40):
            done = s.lops("start", "false", "--wait", *(["--json"] if i % 2 else []), status=3)
            check("the record shows it", not i % 2 or
                  json.loads(done.stdout)["process"]["status"] == "crashed", done.stdout)
        same("the id all the same", s.lops("start", "false", "--wait", status=3).stdout, "false\n")
        for i in range(20):
            s.lops("start", "-n", f"n{i}", "--", "sleep", "infinity")
            same("seen as it was answered", s.lops("status", f"n{i}").returncode, 0)
            s.lops("stop", f"n{i}")
            same("stopped too", s.row(f"n{i}")["status"], "stopped")
            s.lops("start", f"n{i}")
            s.lops("delete", f"n{i}", "--force")
            s.lops("start", "-n", f"n{i}", "--", "/no/such", status=1)
            check("nothing is left behind", f"n{i}" not in s.rows())


# --- the same request again, on the door itself ---

def pack(value):
    """msgpack of what a request holds."""
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, str):
        data = value.encode()
        return struct.pack(">BB", 0xd9, len(data)) + data
    if isinstance(value, list):
        return struct.pack(">BH", 0xdc, len(value)) + b"".join(map(pack, value))
    return struct.pack(">BH", 0xde, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


def ask(s, **call):
    """The status of the answer."""
    with socket.socket(socket.AF_UNIX) as k:
        k.settimeout(20)
        k.connect(os.path.join(s.run, "api.sock"))
        body = pack(call)
        k.sendall(struct.pack(">I", len(body)) + body)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            more = k.recv(65536)
            if not more:
                raise Failed("no answer")
            data += more
    at = data.index(b"\xa6status") + 7
    return data[at] if data[at] < 0x80 else struct.unpack_from(">q", data, at + 1)[0] & 0xff


def a_request_takes_effect_once(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        first = {"request": "a" * 32, "verb": "set", "targets": ["one"], "pairs": ["environment.N=1"]}
        same("set", ask(s, **first), 0)
        generation = s.row("one")["generation"]
        s.lops("set", "one", "environment.N=2")
        for again in (True, False):
            same("set again", ask(s, **first, again=again), 0)
        same("only the other change came between", s.row("one")["generation"], generation + 1)
        s.lops("stop", "one")
        s.lops("start", "one")
        for i, (verb, more) in enumerate((("stop", {}), ("restart", {}), ("delete", {"force": True}))):
            request = {"request": str(i) * 32, "verb": verb, "targets": ["one"], **more}
            same(verb, ask(s, **request), 0)
            rows = s.rows()
            for again in (True, False, True):
                # Its deployment may be gone by now: the outcome is still the answer.
                if again or verb != "delete":
                    same(f"{verb} again", ask(s, **request, again=again), 0)
            for row in (*rows.values(), *s.rows().values()):
                row.pop("uptime_seconds")
            now = s.rows()
            same("the same processes", {k: v["pid"] for k, v in now.items()}, {k: v["pid"] for k, v in rows.items()})
            if verb == "stop":
                s.lops("start", "one")
        pid = s.actors()["coordinator"][0]
        os.kill(pid, signal.SIGKILL)
        s.wait_well()
        same("also after a kill", ask(s, **first, again=True), 0)


# --- logs ---

def logs_of_every_kind(bin_dir):
    config = """version: "1.0"
log_monitoring: {rotate_size_mb: 1, rotate_keep: 5}
deployments:
  own: {command: "sh -c 'echo to file; exec sleep 1000'", stdout_log: "own-{{id}}.txt", stderr_log: stdout}
  mute: {command: "sh -c 'echo lost; echo kept >&2; exec sleep 1000'", stdout_log: null}
"""
    with Set(bin_dir, config) as s:
        s.up()
        own = os.path.join(s.root, "own-own.txt")
        wait_for("its file", lambda: os.path.exists(own) and os.path.getsize(own))
        done = s.lops("logs", "own")
        same("a file of its own", done.stdout, "to file\n")
        check("where err goes", "err" in done.stderr, done.stderr)
        wait_for("its err", lambda: s.log("mute", "err"))
        done = s.lops("logs", "mute")
        check("what is not kept is said", done.stdout == "kept\n" and "not kept" in done.stderr, done)
        # Forty bytes a line, over several files.
        s.start("many", "python3", "-c", "import sys\nfor i in range(120000): print(f'{i:040d}')\n"
                "print('err 1\\nerr 2', file=sys.stderr)")
        wait_for("the last line", lambda: f"{119999:040d}" in s.lops("logs", "many", "-n", "1", "--stream",
                                                                  "out").stdout)
        folder = os.path.join(s.state, "logs", "many")
        check("it was rotated", len([n for n in os.listdir(folder) if n.startswith("out.log.")]) >= 3)
        whole = b"".join(f"{i:040d}\n".encode() for i in range(120000))
        for n in (0, 1, 7, 10000, 60000, 1000000):
            got = s.lops("logs", "many", "-n", str(n), "--stream", "out").stdout.encode()
            same(f"the last {n}", got == (whole[-41 * n:] if n else b""), True)
        zipped = os.path.join(folder, "out.log.2")
        with open(zipped, "rb") as f, gzip.open(zipped + ".gz", "wb") as to:
            to.write(f.read())
        os.unlink(zipped)
        same("one of them is zipped", s.lops("logs", "many", "-n", "1000000", "--stream", "out").stdout.encode()
             == whole, True)
        done = s.lops("logs", "many", "-n", "1")
        same("out, then err", done.stdout, f"{119999:040d}\nerr 2\n")
        check("told apart for people", "many out" in done.stderr and "many err" in done.stderr, done.stderr)
        for words in (["none"], ["own", "mute"], [], ["own", "-n", "x"], ["own", "-n", "1.5"], ["own", "--stream", "x"],
                      ["*"]):
            s.lops("logs", *words, status=4 if words == ["none"] else 2)
        s.env["LOPS_STATE_DIR"] = s.root + "/elsewhere"
        same("of the set that answers", s.lops("logs", "own").stdout, "to file\n")
        s.env["LOPS_STATE_DIR"] = s.state


def escapes_do_not_reach_a_terminal(bin_dir):
    odd = bytes(range(256)) + "\u202e\u0085\u200f \u00e4\n".encode()
    with Set(bin_dir) as s:
        s.up()
        s.start("odd", "python3", "-c", f"import os,time\nos.write(1, {odd!r})\ntime.sleep(1000)")
        wait_for("the line", lambda: s.log("odd") == odd)
        raw = subprocess.run([s.bin + "/lops", "logs", "odd", "-n", "9"], env=s.env, capture_output=True, check=True)
        same("into a pipe as it is", raw.stdout, odd)
        try:
            main, other = pty.openpty()
        except OSError as e:
            print(f"skipped in part: no terminal can be had here ({e})", flush=True)
            return
        subprocess.run([s.bin + "/lops", "logs", "odd", "-n", "9"], env=s.env, stdout=other, check=True)
        os.close(other)
        shown = b""
        while not shown.endswith(b"\xc3\xa4\r\n"):
            shown += os.read(main, 65536)
        os.close(main)
        bad = [c for c in shown if (c < 0x20 and c not in b"\r\n\t") or c == 0x7f]
        same("no control character", bad, [])
        check("all in UTF-8, none that turns text", not set(shown.decode()) & set("\u202e\u0085\u200f"), shown)
        check("they are shown", b"\\x1b" in shown and b"\\xff" in shown, shown)


def odd_values_keep_the_columns(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        name = "n" * 64
        s.lops("start", "-n", name, "-p", "65535", "--", "sleep", "infinity")
        s.start("esc", "sh", "-c", "exec sleep 1000 # \x1b[31m\n")
        lines = s.lops("list").stdout.splitlines()
        row = next(line for line in lines if line.startswith(name))
        same("its words", row.split()[:3], [name, "RUNNING", "UNKNOWN"])
        check("no escape", "\x1b" not in s.lops("status", "esc").stdout)
        check("one line each", len(lines) == 3, lines)


def events_since(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        before = time.time()
        s.start("one", "sleep", "infinity")
        rows = [json.loads(line) for line in s.lops("events", "--since", "0", "--json").stdout.splitlines()]
        for field in ("topic", "seq", "cause", "sender", "time", "uid", "body"):
            check("flat", all(field in r for r in rows), field)
        seq = rows[-1]["seq"]
        same("after a seq", s.lops("events", "--since", str(seq)).stdout, "")
        started = s.lops("events", "--topic", "process.started/one", "--json").stdout.splitlines()
        same("by topic", [json.loads(r)["topic"] for r in started], ["process.started/one"])
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(before))
        check("by time", "process.started/one" in s.lops("events", "--since", text).stdout)
        same("nothing of the future", s.lops("events", "--since", "2200-01-01").stdout, "")
        for bad in ("yesterdayish", "", "2020-13-45"):
            s.lops("events", f"--since={bad}", status=2)


def config_says_where_it_came_from(bin_dir):
    text = 'version: "1.0"\ndefaults:\n  stop_timeout_seconds: 3\n'
    with Set(bin_dir, text) as s:
        s.up()
        wanted = f"defaults.stop_timeout_seconds=3 ({s.config}:3)"
        check("file and line", wanted in s.lops("config", "show").stdout.splitlines())
        check("defaults too", "defaults.start_timeout_seconds=90 (default)" in s.lops("config", "show").stdout)
        with open(s.config, "w", encoding="utf-8") as f:
            f.write("broken: [\n")
        os.kill(s.actors()["coordinator"][0], signal.SIGKILL)
        s.wait_well()
        check("what is in force stays so when the file changes", wanted in s.lops("config", "show").stdout)
        check("a bad file is told by line", ":" in s.lops("config", "check", s.config, status=2).stderr)
        s.lops("config", status=2)


def the_environment_of_up_stays(bin_dir):
    config = 'version: "1.0"\ndeployments:\n  all: {command: sleep infinity, inherit_environment: true}\n'
    with Set(bin_dir, config) as s:
        s.env["FROM_UP"] = "here"
        s.up()
        del s.env["FROM_UP"]

        def inherits():
            with open(f"/proc/{s.row('all')['pid']}/environ", "rb") as f:
                return b"FROM_UP=here" in f.read().split(b"\0")

        check("inherited", inherits())
        pid, generation = s.row("all")["pid"], s.row("all")["generation"]
        os.kill(s.actors()["coordinator"][0], signal.SIGKILL)
        s.wait_well()
        s.launch("down", "--keep")
        s.up()
        s.wait_well()
        same("neither restarted nor changed", (s.row("all")["pid"], s.row("all")["generation"]), (pid, generation))
        s.lops("set", "all", "environment.MORE=1")
        os.kill(s.actors()["coordinator"][0], signal.SIGKILL)
        s.wait_well()
        s.lops("restart", "all")
        check("still, after a restart", inherits())
        same("the change was not taken back", s.row("all")["generation"], generation + 1)


def launch_says_what_it_did(bin_dir):
    with Set(bin_dir) as s:
        s.launch("status", status=3)
        s.launch("down")
        s.launch("--help")
        for words in ([], ["fly"], ["up", "--what"], ["down", "extra"], ["upgrade"], ["enable"]):
            s.launch(*words, status=2)
        s.up()
        for word in ("broker", "coordinator", "process-manager", "log-monitor"):
            check("status names each part", word in s.launch("status").stdout)
        s.start("one", "sleep", "infinity")
        s.launch("down", "--keep")
        unreachable = s.lops("list", status=5)
        check("how to start it", "lops-launch up" in unreachable.stderr, unreachable.stderr)
        s.launch("down")
        same("nothing is left", s.programs(), [])
        s.up()
        same("the intent was kept", s.wait_status("one", "running")["intent"], "run")


if __name__ == "__main__":
    tempfile.gettempdir()
    run([the_documents, failures_are_documents, every_command_helps, standard_streams, control_c,
         a_string_is_split_as_a_shell_does, an_env_file_is_checked, ids_globs_groups_and_all,
         stop_and_timeouts, wait_is_always_the_truth, a_request_takes_effect_once, logs_of_every_kind,
         escapes_do_not_reach_a_terminal, odd_values_keep_the_columns, events_since,
         config_says_where_it_came_from, the_environment_of_up_stays, launch_says_what_it_did])

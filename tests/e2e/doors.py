#!/usr/bin/python3
"""What strangers and broken clients send to the doors of a set: nobody else is harmed.

usage: doors.py BIN-FOLDER [TEST...]"""
import os
import random
import signal
import socket
import struct
import subprocess
import time

import msgpack

from lops_set import Set, check, run, same, wait_for

FULL = bool(os.environ.get("LOPS_TEST_FULL"))
ITEM = "<QQQQQIiiiIIIIQQQQQ"  # struct tree_item
HEAD = "<IIiII68s"  # struct tree_message before its items


def frame(call):
    packed = call if isinstance(call, bytes) else msgpack.packb(call)
    return struct.pack(">I", len(packed)) + packed


def connect(s, name="api.sock", kind=socket.SOCK_STREAM):
    k = socket.socket(socket.AF_UNIX, kind)
    k.settimeout(20)
    k.connect(os.path.join(s.run, name))
    return k


def receive(k, size):
    got = b""
    while len(got) < size:
        more = k.recv(size - len(got))
        if not more:
            return None
        got += more
    return got


def answer(k):
    """The first part of an answer, None when the door closed."""
    head = receive(k, 4)
    body = head and receive(k, struct.unpack(">I", head)[0])
    return msgpack.unpackb(body) if body else None


def ask(s, call):
    with connect(s) as k:
        k.sendall(frame(call))
        return answer(k)


def without_quarantine(s):
    """Freed memory is given back, also under AddressSanitizer: what grows is ours."""
    s.env["ASAN_OPTIONS"] = s.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int([line for line in f if line.startswith("VmRSS")][0].split()[1])


def parts(s):
    return {name: pid for name, (pid, _) in s.actors().items()}


def requests_that_are_none(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        before = parts(s)
        good = {"request": "a" * 32, "verb": "list"}
        same("a good one", ask(s, good)["status"], 0)
        for what, body in (("no map", b"\x01"), ("deep", b"\x91" * 60 + b"\xc0"), ("counts beyond", b"\xdd\x0f\xff\xff\xff"),
                           ("cut off", msgpack.packb(good)[:-3]), ("more behind", msgpack.packb(good) + b"\xc0"),
                           ("wrong type", msgpack.packb({**good, "verb": 7})), ("no verb", msgpack.packb({"request": "x"})),
                           ("no UTF-8", b"\x82\xa7request\xa1x\xa4verb\xa2\xff\xfe"),
                           ("a key twice", b"\x83\xa7request\xa1x\xa4verb\xa4list\xa4verb\xa4list"),
                           ("empty", b"")):
            got = ask(s, body)
            check(what, got is not None and got["status"] == 2, got)
        with connect(s) as k:
            k.sendall(struct.pack(">I", 256 * 1024 + 1))
            same("too large", answer(k)["status"], 2)
        with connect(s) as k:
            k.sendall(b"\xff\xff\xff\xff")
            same("far too large", answer(k)["status"], 2)
        same("unknown verb", ask(s, {**good, "verb": "lits"})["status"], 2)
        with connect(s) as k:
            for byte in frame(good):
                k.sendall(bytes([byte]))
            same("a byte at a time", answer(k)["status"], 0)
        same("the same parts", parts(s), before)


def mutations_of_requests(bin_dir):
    rng = random.Random(5)
    seeds = [{"request": "a" * 32, "verb": "list", "brief": True}, {"request": "b" * 32, "verb": "events", "since": 3},
             {"request": "c" * 32, "verb": "stop", "targets": ["x"], "timeout_seconds": 1.5},
             {"request": "d" * 32, "verb": "set", "targets": ["x"], "pairs": ["a=b"]},
             {"request": "e" * 32, "verb": "create", "specs": [{"deployment_id": "zz", "command": ["true"], "port": 1}]}]
    with Set(bin_dir) as s:
        without_quarantine(s)
        s.up()
        before, size, k = parts(s), 0, None
        for n in range(10000):
            data = bytearray(frame(rng.choice(seeds)))
            for _ in range(rng.randrange(1, 5)):
                data[rng.randrange(4 if rng.random() < .9 else 0, len(data))] = rng.randrange(256)
            try:
                k = k or connect(s)
                k.sendall(data[:rng.randrange(len(data))] if n % 9 == 0 else data)
                if n % 3 == 0:
                    k.close()
                    k = None
            except OSError:
                k = None
            if n == 5000:
                size = rss_kib(before["coordinator"])
        same("it still answers", s.lops("list", "--json").returncode, 0)
        same("the same parts", parts(s), before)
        check("no growth", rss_kib(before["coordinator"]) - size < 16 * 1024, rss_kib(before["coordinator"]), size)


def slow_and_vanished_clients(bin_dir):
    config = 'version: "1.0"\ndeployments:\n' + "".join(
        f"  d{i}: {{command: [sleep, infinity], autostart: false}}\n" for i in range(300))
    with Set(bin_dir, config) as s:
        s.up()
        before = parts(s)
        call = {"request": "a" * 32, "verb": "list"}
        lazy = [connect(s) for _ in range(40)]
        for k in lazy:  # asks again and again and reads nothing
            k.setblocking(False)
            try:
                for _ in range(2000):
                    k.send(frame(call))
            except BlockingIOError:
                pass
        half = [connect(s) for _ in range(200)]
        for n, k in enumerate(half):  # says half of it, and half of them go
            k.sendall(frame(call)[:20])
            if n % 2:
                k.close()
        for _ in range(100):  # asks and goes
            with connect(s) as k:
                k.sendall(frame(call))
        for _ in range(30):
            p = subprocess.Popen([os.path.join(s.bin, "lops"), "list", "--json"], env=s.env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.002 * random.random())
            p.send_signal(signal.SIGKILL)
            p.wait()
        same("others are served", len(s.rows()), 300)
        same("the same parts", parts(s), before)
        check("what is held for them is bounded", rss_kib(before["coordinator"]) < 200 * 1024,
              rss_kib(before["coordinator"]))
        for k in lazy + half:
            k.close()


def too_many_clients(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        idle = []
        try:
            for _ in range(2100):
                idle.append(connect(s))
        except OSError:
            pass
        with connect(s) as k:
            k.sendall(frame({"request": "a" * 32, "verb": "list"}))
            same("told so", answer(k)["status"], 7)
        for k in idle:
            k.close()
        wait_for("room again", lambda: s.command("lops", "list").returncode == 0)


def the_same_request_has_one_answer(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        call = {"request": "f" * 32, "verb": "create", "specs": [{"deployment_id": "once", "command": ["sleep", "infinity"]}]}
        first = ask(s, call)
        same("done", first["status"], 0)
        os.kill(parts(s)["coordinator"], signal.SIGKILL)
        s.wait_well()
        again = ask(s, {**call, "again": True})
        same("the same answer", {k: v for k, v in again.items() if k != "part"},
             {k: v for k, v in first.items() if k != "part"})
        same("made once", s.row("once")["restarts"], 0)
        s.lops("set", "once", "defaults.stop_timeout_seconds=3")
        change = {"request": "9" * 32, "verb": "set", "targets": ["once"], "pairs": ["defaults.stop_timeout_seconds=4"]}
        same("set", ask(s, change)["status"], 0)
        s.lops("set", "once", "defaults.stop_timeout_seconds=5")
        generation = s.row("once")["generation"]
        same("set again", ask(s, {**change, "again": True})["status"], 0)
        same("it took effect once", s.row("once")["generation"], generation)


def packet(op, items=(), number=1, text=b"control", value=0):
    head = struct.pack(HEAD, op, number, 0, value, len(items), text)
    return head + b"\0" * (88 - len(head)) + b"".join(items)


def item(instance):
    return struct.pack(ITEM, instance, 0, 64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def packets_to_lops_init(bin_dir):
    rng = random.Random(6)
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        pid, members, before = s.row("one")["pid"], s.members(), parts(s)
        with connect(s, "init.sock", socket.SOCK_SEQPACKET) as k:
            k.send(packet(1, text=b"process-manager"))
            k.recv(1 << 18)
            for op in (3, 4, 5, 6, 7, 8):  # start, confirm, arm, revoke, signal, release
                k.send(packet(op, [item(1)]))
                same(f"operation {op} is not for it", struct.unpack(HEAD, k.recv(1 << 18)[:88])[2] != 0, True)
        sizes = [rss_kib(m) for m in members]
        k = None
        for n in range(10000):
            data = bytearray(packet(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99]), [item(rng.getrandbits(64))] * rng.randrange(3)))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            # Nobody asks it to end or to keep: that is a right of the set's owner.
            if struct.unpack("<I", data[:4])[0] in (12, 13, 14):
                continue
            try:
                k = k or connect(s, "init.sock", socket.SOCK_SEQPACKET)
                k.setblocking(False)
                k.send(data[:rng.randrange(len(data))] if n % 7 == 0 else data)
                while n % 50 == 0 and k.recv(1 << 18):
                    pass
            except OSError:
                k = None
        same("the same pair", s.members(), members)
        same("the same parts", parts(s), before)
        same("the same program", s.row("one")["pid"], pid)
        check("no growth", all(rss_kib(m) - z < 4096 for m, z in zip(members, sizes)))


def datagrams_to_the_notify_socket(bin_dir):
    rng = random.Random(7)
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        before = parts(s)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as k:
            for n in range(3000):
                data = rng.choice([b"", b"READY=1", b"STATUS=" + os.urandom(rng.randrange(6000)), os.urandom(40), b"\n" * 4000])
                try:
                    k.sendto(data, socket.MSG_DONTWAIT, os.path.join(s.run, "notify.sock"))
                except OSError:
                    time.sleep(0.001)
        same("it goes on", s.lops("stop", "one").returncode, 0)
        same("the same parts", parts(s), before)


def a_thousand_calls_at_once(bin_dir):
    with Set(bin_dir) as s:
        s.up()
        s.start("one", "sleep", "infinity")
        before = parts(s)
        calls = [subprocess.Popen([os.path.join(s.bin, "lops"), *(["list"] if n % 4 else ["restart", "one"])], env=s.env,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for n in range(1000 if FULL else 400)]
        got = {}
        for p in calls:
            status = p.wait(120)
            got[status] = got.get(status, 0) + 1
        check("each is answered or told busy", set(got) <= {0, 7}, got)
        same("the same parts", parts(s), before)
        s.wait_status("one", "running")


if __name__ == "__main__":
    run([requests_that_are_none, mutations_of_requests, slow_and_vanished_clients, too_many_clients,
         the_same_request_has_one_answer, packets_to_lops_init, datagrams_to_the_notify_socket, a_thousand_calls_at_once])

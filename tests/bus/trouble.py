#!/usr/bin/python3
"""The broker in trouble: disks that are full, read-only or broken, damage, retention, readers that never end.
usage: trouble.py BIN_DIR [TEST...]"""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import unittest

import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broker import Broker, bin_dir
from door import (ACK, ANSWER, CREDIT, DELIVER, Door, Event, GET, PING, REFUSED, RETAIN, WELCOME, header, record)

BIN = bin_dir()
del sys.argv[1:2]
FULL = bool(os.environ.get("LOPS_TEST_FULL"))


class Publisher(Door):
    """Keeps what is not acknowledged and sends it again, as the protocol asks of every publisher."""

    def __init__(self, run, name="actor", incarnation=1):
        self.sent, self.acked, self.refusals, self.welcomes, self.greets = {}, 0, [], 0, False
        super().__init__(run, name, incarnation)

    def add(self, topic, body):
        number = len(self.sent) + 1
        self.sent[number] = record(topic, header(self.sender, self.incarnation, number), body)
        self.publish([self.sent[number]])

    def take(self, seconds):
        got = self.receive(seconds)
        if not got:
            return
        verb, rest, _ = got
        if verb == ACK and rest[0] == self.incarnation:
            self.acked = max(self.acked, rest[1])
        elif verb == WELCOME:
            self.acked = max(self.acked, rest[3])
            self.welcomes += 1
            self.greets = False
            for n in range(self.acked + 1, len(self.sent) + 1):
                self.publish([self.sent[n]])
        elif verb == REFUSED:
            self.refusals.append((rest[1], rest[2]))
            if rest[1] == 107 and not self.greets:  # one hello for all that was refused
                self.greets = True
                self.hello()

    def settle(self, seconds=30):
        until = time.monotonic() + seconds
        while self.acked < len(self.sent):
            if time.monotonic() > until:
                raise AssertionError("%d of %d are acknowledged" % (self.acked, len(self.sent)))
            self.take(0.1)


def changed(dep, status="running"):
    return "deployment.changed/" + dep, {"process": {"deployment_id": dep, "status": status, "intent": "run", "generation": 1}}


class Trouble(unittest.TestCase):
    def setUp(self):
        self.broker, self.mounted = Broker(BIN), False

    def tearDown(self):
        self.broker.done()
        if self.mounted:
            subprocess.run(["umount", "-l", self.broker.state], check=False)

    def begin(self):
        self.broker.start()
        self.broker.wait_up()

    def small_disk(self, size):
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size + ",mode=700", "lops-test",
                                                self.broker.state], check=False).returncode:
            self.skipTest("a file system of its own needs root")
        self.mounted = True

    def rows(self):
        db = sqlite3.connect("file:%s?mode=ro" % os.path.join(self.broker.state, "journal.db"), uri=True)
        try:
            return db.execute("SELECT seq FROM events ORDER BY seq").fetchall()
        finally:
            db.close()

    def until(self, door, condition, seconds=30):
        """Turns of the broker, one ping each, until it is so; whether it is. What comes is dropped."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            door.send(PING, 1)
            door.receive(0.1)
        return condition()

    def wait_degraded(self, door, state, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            got = door.receive(0.2)
            for r in got[1][2:] if got and got[0] == DELIVER else ():
                e = Event(r)
                if e.topic == "bus.degraded" and e.body["state"] == state:
                    return e
        raise AssertionError("no bus.degraded %s:\n%s" % (state, self.broker.said()))

    def follower(self, name="reader"):
        d = Door(self.broker.run, name, 1, cookie=False)
        d.wait(WELCOME)
        d.subscribe(["bus."], start=0)
        return d

    def fill(self, leave):
        path = os.path.join(self.broker.state, "fill")
        with open(path, "ab", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
            size = f.tell()
        os.truncate(path, max(0, size - leave))
        return path

    def test_a_full_disk_is_waited_for_and_nothing_is_lost(self):
        self.small_disk("16m")
        self.begin()
        pid = self.broker.process.pid
        p, follower = Publisher(self.broker.run), self.follower()
        for n in range(200):
            p.add(*changed("d%d" % (n % 10)))
        p.settle()
        ballast = os.path.join(self.broker.state, "ballast")
        self.assertTrue(self.until(p, lambda: os.path.exists(ballast)))
        fill = self.fill(0)
        held = self.held_after_giving_up(p, ballast)
        self.wait_degraded(follower, "full")
        self.assertGreater(len(p.sent), p.acked, "nothing is acknowledged while it is full")
        before = p.acked
        os.unlink(fill)
        if held:
            os.unlink(held)
        p.settle(60)
        self.assertGreater(p.acked, before)
        self.assertEqual(self.broker.process.poll(), None)
        self.assertEqual(self.broker.process.pid, pid)
        late = self.follower("late")
        self.wait_degraded(late, "ok")
        self.assertTrue(self.until(late, lambda: os.path.exists(ballast)), "the ballast is taken back")
        seqs = [s for s, in self.rows()]
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))))

    def test_a_disk_that_becomes_read_only_is_said_and_nothing_is_acknowledged(self):
        image = os.path.join(self.broker.top, "image")
        with open(image, "wb") as f:
            f.truncate(64 << 20)
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
            self.skipTest("a file system of its own needs root and mkfs.ext4")
        subprocess.run(["/sbin/mkfs.ext4", "-q", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, self.broker.state], check=False).returncode:
            self.skipTest("there are no loop devices")
        self.mounted = True
        self.begin()
        p, follower = Publisher(self.broker.run), self.follower()
        for n in range(100):
            p.add(*changed("d%d" % (n % 10)))
        p.settle()
        # As ext4 does by itself after an error of its own.
        subprocess.run(["mount", "-o", "remount,abort", self.broker.state], check=True)
        p.add(*changed("late"))
        e = self.wait_degraded(follower, "full")
        self.assertIn("Read-only", e.body["message"])
        self.assertEqual(p.acked, 100)
        self.assertIsNone(self.broker.process.poll())
        reader = Door(self.broker.run, "other", 1)
        reader.wait(WELCOME)
        reader.subscribe(["deployment."], start=1)
        self.assertEqual(Event(reader.wait(DELIVER)[2]).seq, 1, "questions are answered")
        self.broker.stop()
        subprocess.run(["umount", self.broker.state], check=True)
        subprocess.run(["/sbin/fsck.ext4", "-p", image], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(["mount", "-o", "loop", image, self.broker.state], check=True)
        self.begin()
        p.connect()
        p.settle()
        self.assertEqual([s for s, in self.rows()], list(range(1, 102)))

    def held_after_giving_up(self, p, ballast):
        """Publishes until the ballast is gone, then takes its room too, as another program would."""
        until, held = time.monotonic() + 60, None
        while time.monotonic() < until:
            for n in range(50):
                p.add("actor.started", {"actor": "x" * 400})
            for _ in range(20):
                p.take(0.01)
            if not os.path.exists(ballast):
                held = held or self.broker.state + "/held"
                with open(held, "ab", buffering=0) as f:
                    try:
                        while True:
                            f.write(b"y" * 4096)
                    except OSError:
                        pass
                if "can't be written" in self.broker.said() and len(p.sent) > p.acked + 200:
                    return held
        raise AssertionError("the disk never was full")

    def test_a_sync_that_fails_ends_the_broker_and_loses_nothing(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not there")
        trace = os.path.join(self.broker.top, "trace")
        self.begin()
        p = Publisher(self.broker.run)
        p.add(*changed("d"))
        p.settle()
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-e", "trace=fdatasync", "-e",
                                   "inject=fdatasync:error=EIO:when=3+", "-p", str(self.broker.process.pid)])
        until = time.monotonic() + 30
        while self.broker.process.poll() is None and time.monotonic() < until:
            p.add(*changed("d"))
            p.take(0.05)
        self.broker.process.wait(5)
        tracer.wait(10)
        with open(trace, encoding="utf-8", errors="replace") as f:
            self.assertIn("INJECTED", f.read())
        self.assertLess(p.acked, len(p.sent))
        self.begin()
        p.connect()
        p.settle()
        self.assertEqual(len(self.rows()), len(p.sent))

    def test_a_lock_that_was_taken_away_ends_the_broker(self):
        self.begin()
        os.unlink(os.path.join(self.broker.state, "broker.lock"))
        self.assertEqual(self.broker.process.wait(20), 1)
        self.assertIn("broker.lock", self.broker.said())
        self.begin()
        p = Publisher(self.broker.run)
        p.add(*changed("a"))
        p.settle()

    def test_an_event_is_found_by_its_own_id(self):
        self.begin()
        p = Publisher(self.broker.run, incarnation=77)
        for n in range(20):
            p.add(*changed("d%d" % n))
        p.settle()
        p.send(GET, 1, 2, 77, 5, "actor")
        self.assertEqual([Event(r).topic for r in p.wait(ANSWER)[2:]], ["deployment.changed/d4"])
        p.send(GET, 2, 2, 77, 21, "actor")
        self.assertEqual(p.wait(ANSWER)[2:], [])

    def test_of_two_of_one_name_the_earlier_is_told_to_end(self):
        self.begin()
        first = Publisher(self.broker.run, incarnation=1)
        first.add(*changed("a"))
        first.settle()
        second = Publisher(self.broker.run, incarnation=2)
        second.add(*changed("b"))
        second.settle()
        first.add(*changed("c"))
        until = time.monotonic() + 10
        while not [e for e, _ in first.refusals if e == 116] and time.monotonic() < until:
            first.take(0.1)
        self.assertTrue([e for e, _ in first.refusals if e == 116], first.refusals)
        self.assertEqual(len(self.rows()), 2)

    def test_retention_is_asked_for_by_actors_only_and_kept(self):
        self.begin()
        outsider = Door(self.broker.run, "outsider", 1, cookie=False)
        outsider.wait(WELCOME)
        outsider.send(RETAIN, 1, 1)
        self.assertEqual(outsider.wait(REFUSED)[1], 1)
        p = Publisher(self.broker.run)
        p.send(RETAIN, 3600000, 1 << 20)
        slow = Door(self.broker.run, "slow", 1, cookie=False)
        slow.wait(WELCOME)
        slow.subscribe(["actor."], start=1, credit=1)
        for n in range(9000):
            p.add("actor.started", {"actor": "a%d" % (n % 5) + "x" * 300})
            if n % 500 == 0:
                p.take(0.001)
        p.settle()
        self.until(p, lambda: len(self.rows()) <= 5000, 90)
        seqs = [s for s, in self.rows()]
        self.assertEqual(seqs[-1], 9000, "never the newest")
        self.assertLessEqual(len(seqs), 5000)
        self.assertEqual(seqs, list(range(seqs[0], 9001)))
        late = Door(self.broker.run, "late", 1, cookie=False)
        late.wait(WELCOME)
        late.subscribe(["actor."], start=1, seq=1)
        e = Event(late.wait(DELIVER)[2])
        self.assertEqual((e.topic, e.body["from"]), ("bus.gap", 2))
        self.assert_told_what_it_missed(slow, 9000)

    def assert_told_what_it_missed(self, slow, head):
        """Every seq up to the head is an event or lies in a gap that was said."""
        next_seq, gaps = 1, 0
        while next_seq <= head:
            for e in map(Event, slow.wait(DELIVER)[2:]):
                if e.topic == "bus.gap":
                    self.assertEqual(e.body["from"], next_seq)
                    next_seq, gaps = e.body["to"] + 1, gaps + 1
                else:
                    self.assertEqual(e.seq, next_seq)
                    next_seq += 1
            slow.send(CREDIT, 1, 1 << 20)
        self.assertEqual(gaps, 1)

    def test_a_command_that_nobody_handled_yet_is_not_trimmed(self):
        self.begin()
        p = Publisher(self.broker.run)
        p.send(RETAIN, 3600000, 1)
        p.add("do.process.start", {"request": "a", "deployments": ["x"]})
        for n in range(50):
            p.add(*changed("d"))
        p.settle()
        self.until(p, lambda: len(self.rows()) <= 2)
        self.assertEqual([s for s, in self.rows()], [1, 51])
        p.send(5, "actor", 1)
        self.until(p, lambda: len(self.rows()) <= 1)
        self.assertEqual([s for s, in self.rows()], [51])

    def test_raw_clients_do_no_harm(self):
        self.begin()
        frames = 100000 if FULL else 5000
        raw = subprocess.Popen([sys.executable, "-c", "import sys, zmq\n"
                                "c = zmq.Context.instance()\n"
                                "tap, many = c.socket(zmq.SUB), c.socket(zmq.DEALER)\n"
                                "tap.connect('ipc://%s/tap' % sys.argv[1])\n"
                                "tap.setsockopt(zmq.SUBSCRIBE, b't' * (1 << 20))\n"
                                "many.connect('ipc://%s/bus' % sys.argv[1])\n"
                                "many.send_multipart([b'\\x0a\\x01'] * int(sys.argv[2]))\n"
                                "print('sent', flush=True)\n"
                                "sys.stdin.read()", self.broker.run, str(frames)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(raw.stdout.readline(), b"sent\n")
        p = Publisher(self.broker.run)
        p.add(*changed("a"))
        p.settle()
        self.assertIsNone(self.broker.process.poll())
        raw.kill()
        raw.communicate()

    def test_a_reader_that_never_ends_is_named(self):
        if not FULL:
            self.skipTest("64 MiB of events: with LOPS_TEST_FULL=1")
        self.begin()
        p, follower = Publisher(self.broker.run), self.follower()
        p.add(*changed("a"))
        p.settle()
        reader = subprocess.Popen([sys.executable, "-c", "import sqlite3, sys\n"
                                   "db = sqlite3.connect('file:%s?mode=ro' % sys.argv[1], uri=True)\n"
                                   "db.execute('BEGIN'); db.execute('SELECT count(*) FROM events').fetchall()\n"
                                   "print('reads', flush=True); sys.stdin.read()",
                                   os.path.join(self.broker.state, "journal.db")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        reader.stdout.readline()
        for n in range(90000):
            p.add("actor.started", {"actor": "x" * 900})
            if n % 1000 == 0:
                p.settle()
        p.settle()
        e = self.wait_degraded(follower, "pinned")
        self.assertIn(str(reader.pid), e.body["message"])
        reader.communicate()


if __name__ == "__main__":
    unittest.main(verbosity=1)

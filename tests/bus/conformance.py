#!/usr/bin/python3
"""The stream door as docs/PROTOCOL.md says, and what it refuses. usage: conformance.py BIN_DIR"""

import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
import unittest

import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broker import Broker, bin_dir
from door import (ACK, ANSWER, BACK, COMMIT, CREDIT, DELIVER, Door, Event, GET, LAST, LOADED, PING, PONG, REFUSED,
                  WELCOME, header, record)

BIN = bin_dir()
del sys.argv[1:]


def started(door, number, actor="x", did=0, topic="actor.started", cause=0):
    return record(topic, header(door.sender, door.incarnation, number, did=did, cause=cause), {"actor": actor})


def changed(door, number, dep, status="running"):
    body = {"process": {"deployment_id": dep, "status": status, "intent": "run", "generation": 1}}
    return record("deployment.changed/" + dep, header(door.sender, door.incarnation, number), body)


def private(door, number, dep):
    body = {"generation": 1, "spec": {"deployment_id": dep, "command": ["x"], "environment": ["SECRET=canary"]}}
    return record("spec.set/" + dep, header(door.sender, door.incarnation, number), body)


class Bus(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(BIN)
        self.broker.start()
        self.broker.wait_up()
        self.doors = []

    def tearDown(self):
        for d in self.doors:
            d.close()
        self.broker.done()

    def door(self, name="actor", incarnation=1, cookie=True):
        d = Door(self.broker.run, name, incarnation, cookie)
        self.doors.append(d)
        d.welcome = d.wait(WELCOME)
        return d

    def events(self, door, n, seconds=10):
        got = []
        while len(got) < n:
            rest = door.wait(DELIVER, seconds)
            got += [Event(r) for r in rest[2:]]
        return got

    def test_an_event_is_acknowledged_then_delivered_in_order_with_its_chains(self):
        a, s = self.door(), self.door("reader", cookie=False)
        s.subscribe([""], start=1, seq=0)
        a.publish([changed(a, n, "web" if n % 2 else "db") for n in range(1, 11)])
        incarnation, number, seq, run = a.wait(ACK)
        self.assertEqual((incarnation, number, seq, run), (1, 10, 10, 10))
        got = self.events(s, 10)
        self.assertEqual([e.seq for e in got], list(range(1, 11)))
        self.assertEqual([e.prev for e in got], [0, 0] + list(range(1, 9)))
        self.assertEqual([e.dprev for e in got], [0, 0] + list(range(1, 9)))
        self.assertTrue(all(e.epoch == a.welcome[1] for e in got))

    def test_what_comes_twice_is_delivered_once(self):
        a, s = self.door(), self.door("reader", cookie=False)
        s.subscribe([""], start=1)
        a.publish([started(a, 1), started(a, 1), started(a, 2, did=77)])
        a.wait(ACK)
        b = self.door(incarnation=2)
        b.publish([started(b, 1, did=77), started(b, 2)])
        self.assertEqual(b.wait(ACK)[1:], [2, 3, 2])
        self.assertEqual([e.seq for e in self.events(s, 3)], [1, 2, 3])

    def test_a_cause_by_own_number_becomes_the_seq(self):
        a, s = self.door(), self.door("reader", cookie=False)
        a.publish([started(a, 1), started(a, 2, cause=1 << 63 | 1), started(a, 3, cause=999)])
        a.wait(ACK)
        s.subscribe([""], start=1)
        self.assertEqual([e.cause for e in self.events(s, 3)], [0, 1, 0])

    def test_last_values_come_first_and_are_forgotten(self):
        a = self.door()
        a.publish([changed(a, 1, "web"), changed(a, 2, "web", "stopped"), changed(a, 3, "db"), private(a, 4, "web")])
        a.wait(ACK)
        b = self.door("other")
        b.subscribe(["actor."], keys=["process/", "spec/"])
        rest = b.wait(DELIVER)
        self.assertEqual(rest[1], 1)
        self.assertEqual([Event(r).seq for r in rest[2:]], [3, 2, 4])
        self.assertEqual(b.wait(LOADED)[1], 4)
        gone = record("deployment.deleted/web", header("actor", 1, 5), {"deployment_id": "web"})
        a.publish([gone])
        a.wait(ACK)
        b.send(LAST, 9, "")
        self.assertEqual([Event(r).topic for r in b.wait(ANSWER)[2:]], ["deployment.changed/db"])

    def test_outsiders_see_nothing_private_and_publish_little(self):
        a, o = self.door(), self.door("outsider", cookie=False)
        self.assertFalse(o.welcome[4])
        a.publish([private(a, 1, "web"), changed(a, 2, "web")])
        a.wait(ACK)
        o.subscribe([""], start=1, keys=["spec/"])
        self.assertEqual([e.topic for e in self.events(o, 1)], ["deployment.changed/web"])
        for request in ((GET, 5, 0, 1, 0, ""), (LAST, 5, "spec/"), (BACK, 5, "web", 2, 10)):
            o.send(*request)
            self.assertFalse([r for r in o.wait(ANSWER)[2:] if b"canary" in r[2]])
        o.publish([started(o, 1)])
        self.assertIn("only the set's own", o.wait(REFUSED)[2])
        o.publish([record("check.reported/web", header("outsider", 1, 2), {"check_type": "db", "status": "healthy"})])
        self.assertEqual(o.wait(ACK)[1], 1)  # refused is settled too
        self.assertEqual(o.wait(ACK)[1:3], [2, 3])
        o.publish([record("check.reported/web", header("actor", 1, 3), {"check_type": "db", "status": "healthy"})])
        self.assertIn("hello", o.wait(REFUSED)[2])

    def test_a_cursor_resumes_where_it_was(self):
        a = self.door()
        a.publish([started(a, n) for n in range(1, 6)])
        a.wait(ACK)
        a.send(COMMIT, "mine", 3)
        a.send(PING, 1)
        a.wait(PONG)
        b = self.door("b")
        b.subscribe(["actor."], start=2, cursor="mine")
        self.assertEqual([e.seq for e in self.events(b, 2)], [4, 5])

    def test_beyond_the_head_is_a_gap(self):
        s = self.door("reader", cookie=False)
        s.subscribe([""], start=1, seq=50)
        e = self.events(s, 1)[0]
        self.assertEqual((e.topic, e.body["from"], e.body["to"]), ("bus.gap", 1, 50))

    def test_who_gives_no_credit_is_not_fed_and_loses_nothing(self):
        a, slow, quick = self.door(), self.door("slow", cookie=False), self.door("quick", cookie=False)
        slow.subscribe([""], start=1, credit=1)
        quick.subscribe([""], start=1, credit=1 << 23)
        for n in range(0, 5000, 500):
            a.publish([started(a, k, "x" * 100) for k in range(n + 1, n + 501)])
        self.assertEqual(len(self.events(quick, 5000)), 5000)
        seen = [Event(r).seq for r in slow.wait(DELIVER)[2:]]
        while len(seen) < 5000:
            slow.send(CREDIT, 1, 1 << 16)
            seen += [Event(r).seq for r in slow.wait(DELIVER)[2:]]
        self.assertEqual(seen, list(range(1, 5001)))

    def test_the_tap_gives_public_events_only(self):
        tap = zmq.Context.instance().socket(zmq.SUB)
        tap.setsockopt(zmq.SUBSCRIBE, b"")
        tap.connect("ipc://%s/tap" % self.broker.run)
        a = self.door()
        number = 0
        while not tap.poll(50):  # until the subscription has arrived
            number += 2
            self.assertLess(number, 400)
            a.publish([private(a, number - 1, "web"), changed(a, number, "web")])
        self.assertEqual(tap.recv_multipart()[0], b"deployment.changed/web")
        tap.close(0)

    def test_who_said_no_hello_is_told_so(self):
        d = Door(self.broker.run, "late", 1)
        self.doors.append(d)
        d.wait(WELCOME)
        e = zmq.Context.instance().socket(zmq.DEALER)
        e.connect("ipc://%s/bus" % self.broker.run)
        e.send(b"\x0a\x01")
        self.assertTrue(e.poll(5000))
        self.assertEqual(e.recv()[:2], b"\x26\x00")
        e.close(0)

    def rss_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid) as f:
            return int([line for line in f if line.startswith("VmRSS")][0].split()[1])

    def test_ten_thousand_mutations_do_no_harm(self):
        rng = random.Random(4)
        a = self.door("fuzz", cookie=False)
        seeds = [b"\x02" + started(a, 1), b"\x02" + changed(a, 2, "web"),
                 bytes([3, 1, 1, 0, 0xa0, 0xcd, 1, 0, 0x91, 0xa0, 0x90]), bytes([6, 1, 0, 1, 0, 0xa0]),
                 bytes([7, 1, 0xa8]) + b"process/", bytes([8, 1, 0xa3]) + b"web\x00\x05", bytes([5, 0xa1, 0x61, 1])]
        before = None
        for n in range(10000):
            packet = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(5)):
                packet[rng.randrange(len(packet))] = rng.randrange(256)
            a.raw(bytes(packet[:rng.randrange(len(packet) + 1)] if n % 7 == 0 else packet))
            if n % 500 == 0:
                while a.socket.poll(0):
                    a.socket.recv()
            if n == 5000:
                before = self.rss_kib()
        b = self.door("after")
        b.publish([started(b, 1)])
        b.wait(ACK)
        self.assertIsNone(self.broker.process.poll())
        self.assertLess(self.rss_kib() - before, 16 * 1024)

    def test_garbage_and_half_handshakes_do_no_harm(self):
        idle = []
        for n in range(300):
            s = socket.socket(socket.AF_UNIX)
            s.connect(os.path.join(self.broker.run, "bus"))
            if n % 3 == 0:
                try:
                    s.sendall(os.urandom(200))
                except OSError:
                    pass
            idle.append(s)
        a = self.door("sane")
        a.publish([started(a, 1)])
        a.wait(ACK)
        for s in idle:
            s.close()

    def test_too_large_and_too_many_frames_are_dropped(self):
        big = zmq.Context.instance().socket(zmq.DEALER)
        big.setsockopt(zmq.LINGER, 0)
        big.connect("ipc://%s/bus" % self.broker.run)
        big.send(b"\x02" + b"x" * 300000)
        many = zmq.Context.instance().socket(zmq.DEALER)
        many.setsockopt(zmq.LINGER, 0)
        many.connect("ipc://%s/bus" % self.broker.run)
        many.send_multipart([b"\x0a\x01"] * 1000)
        a = self.door("sane")
        a.publish([started(a, 1)])
        a.wait(ACK)
        big.close(0)
        many.close(0)

    def test_a_second_broker_is_refused_and_steals_nothing(self):
        second = subprocess.run([self.broker.program], env=dict(os.environ, LOPS_RUN_DIR=self.broker.run,
                                LOPS_STATE_DIR=self.broker.state), capture_output=True, timeout=20, check=False)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn(b"another broker", second.stderr)
        a = self.door()
        a.publish([started(a, 1)])
        a.wait(ACK)

    def journal(self):
        return os.path.join(self.broker.state, "journal.db")

    def test_a_damaged_journal_is_set_aside_and_salvaged_aloud(self):
        a = self.door()
        for n in range(1, 1001, 200):
            a.publish([started(a, k, "y" * 200) for k in range(n, n + 200)])
        a.publish([changed(a, 1001, "web")])
        while a.wait(ACK)[1] < 1001:
            pass
        epoch = a.welcome[1]
        self.broker.stop()
        rng = random.Random(1)
        with open(self.journal(), "r+b") as f:
            size = os.path.getsize(self.journal())
            for _ in range(40):
                f.seek(rng.randrange(size // 3, size))
                f.write(bytes([rng.randrange(256)]))
        self.broker.start()
        self.broker.wait_up()
        b = self.door("b", incarnation=2)
        self.assertNotEqual(b.welcome[1], epoch)
        self.assertIn("journal.db.corrupt-1", self.broker.said())
        self.assertTrue(os.path.exists(self.journal() + ".corrupt-1"))
        rows = sqlite3.connect("file:%s?mode=ro" % self.journal(), uri=True).execute("SELECT count(*) FROM events").fetchone()[0]
        self.assertGreater(rows, 500)
        b.publish([started(b, 1)])
        b.wait(ACK)

    def test_a_state_folder_that_cannot_be_written_is_said(self):
        self.broker.stop()
        os.chmod(self.broker.state, 0o500)
        drop = [] if os.geteuid() else ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        os.chmod(self.broker.top, 0o755)
        done = subprocess.run([*drop, self.broker.program], env=dict(os.environ, LOPS_RUN_DIR=self.broker.run,
                              LOPS_STATE_DIR=self.broker.state), capture_output=True, timeout=20, check=False)
        os.chmod(self.broker.state, 0o700)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)

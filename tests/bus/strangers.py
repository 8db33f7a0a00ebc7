#!/usr/bin/python3
"""Strangers at the broker's doors: raw bytes, too many connections, too many names. The broker lives, does not
grow, and serves the others. usage: strangers.py BIN_DIR [TEST...]"""

import os
import random
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broker import Broker, bin_dir
from door import ACK, COMMIT, Door, WELCOME, header, record
from zmtp import COMMAND, GREETING, MORE, Raw, frame, ready

BIN = bin_dir()
del sys.argv[1:2]
FULL = bool(os.environ.get("LOPS_TEST_FULL"))
GROWTH_KIB = 24 * 1024


class Strangers(unittest.TestCase):
    def setUp(self):
        self.broker, self.number = Broker(BIN), 0
        self.held = []

    def tearDown(self):
        for h in self.held:
            h.close()
        self.broker.done()

    def begin(self, wrapper=()):
        self.broker.start(wrapper)
        self.broker.wait_up()
        self.actor = Door(self.broker.run, "actor", 1)
        self.actor.wait(WELCOME)
        self.held.append(self.actor)

    def served(self, seconds=10):
        """Who was there before is, as if nothing had happened."""
        self.number += 1
        began = time.monotonic()
        self.actor.publish([record("actor.started", header("actor", 1, self.number), {"actor": "x"})])
        self.assertEqual(self.actor.wait(ACK, seconds)[1], self.number)
        self.assertIsNone(self.broker.process.poll())
        return time.monotonic() - began

    def rss_kib(self):
        with open("/proc/%d/status" % self.broker.process.pid, encoding="ascii") as f:
            return int([line for line in f if line.startswith("VmRSS")][0].split()[1])

    def raw(self, door, kind=None):
        r = Raw(self.broker.run, door, kind)
        self.held.append(r)
        return r

    def test_a_thousand_half_handshakes_are_held_open(self):
        self.begin()
        starts = (b"", b"\xff", GREETING[:10], GREETING[:63], GREETING, GREETING + ready(b"DEALER")[:9], b"GET / HTTP/1.0\r\n\r\n")
        for n in range(1000):
            self.raw(("bus", "tap")[n % 2]).send(starts[n % len(starts)])
            if n % 250 == 0:
                self.served()
        self.served()
        new = Door(self.broker.run, "new", 1)
        self.held.append(new)
        new.wait(WELCOME)

    def test_one_message_of_a_hundred_thousand_frames(self):
        self.begin()
        before = self.rss_kib()
        r = self.raw("bus", b"DEALER")
        burst = frame(b"\x0a\x01", MORE) * 1000
        for n in range(100):
            self.assertTrue(r.send(burst), n)
        self.served()
        r.send(frame(b"\x0a\x01"))
        self.served()
        r.close()
        self.served()
        self.assertLess(self.rss_kib() - before, GROWTH_KIB)

    def test_a_topic_of_a_megabyte_on_the_tap(self):
        self.begin()
        r = self.raw("tap", b"SUB")
        r.send(frame(b"\x01" + b"t" * (1 << 20)))
        self.assertIn(r.socket.recv(1000)[:1], (b"", b"\x04"))  # closed, or its own READY and then closed
        self.served()
        for n in range(2000):  # many that are not too large
            r = r if n % 200 else self.raw("tap", b"SUB")
            r.send(frame(b"\x01" + b"%d" % n + b"t" * 200))
        self.served()

    def mutations(self, door, kind, seeds, n):
        rng, r = random.Random(n), None
        before = None
        for k in range(n):
            if r is None:
                r = Raw(self.broker.run, door, kind)
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            data = bytes(data[:rng.randrange(len(data) + 1)] if k % 9 == 0 else data)
            if not r.send(data) or k % 20 == 19:
                r.close()
                r = None
            if k == n // 2:
                self.served()
                before = self.rss_kib()
        if r:
            r.close()
        self.served()
        self.assertLess(self.rss_kib() - before, GROWTH_KIB)

    def test_ten_thousand_mutations_below_the_packets(self):
        self.begin()
        n = 10000 if FULL else 2500
        packet = b"\x02" + record("check.reported/web", header("x", 1, 1), {"check_type": "a", "status": "healthy"})
        hello = b"\x01\x01\x01\xa2py\x07\xc4\x00"
        self.mutations("bus", b"DEALER", [frame(hello), frame(packet), frame(hello) + frame(packet),
                                          frame(hello, MORE) + frame(packet), frame(b"\x04PING\x00\x00", COMMAND)], n)
        self.mutations("tap", b"SUB", [frame(b"\x01process."), frame(b"\x00process."), frame(b"\x01"), frame(b"\x02x"),
                                       frame(b"\x01a", MORE) + frame(b"b"), frame(b"\x09SUBSCRIBEa", COMMAND)], n)

    def test_ten_thousand_mutated_handshakes(self):
        self.begin()
        whole, rng = GREETING + ready(b"DEALER"), random.Random(5)
        for n in range(10000 if FULL else 1500):
            data = bytearray(whole)
            for _ in range(1 + rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            r = Raw(self.broker.run, ("bus", "tap")[n % 2])
            r.send(bytes(data[:rng.randrange(len(data) + 1)] if n % 4 == 0 else data))
            r.close()
            if n % 500 == 0:
                self.served()
        self.served()

    def test_connections_beyond_the_descriptors_are_turned_away(self):
        for limit in (64, 100) if not FULL else (40, 48, 64, 100, 200):
            self.begin(("prlimit", "--nofile=%d:%d" % (limit, limit)))
            pid = self.broker.process.pid
            crowd = []
            for _ in range(3 * limit):
                crowd.append(Raw(self.broker.run, "bus"))
            self.served()
            self.assertLessEqual(len(os.listdir("/proc/%d/fd" % pid)), limit - 8)
            for c in crowd:
                c.close()
            late = Door(self.broker.run, "late", 1)
            self.held.append(late)
            late.wait(WELCOME, 20)
            self.assertEqual(self.broker.process.pid, pid)
            self.served()
            self.broker.stop()
            self.number = 0
            self.broker.done()
            self.broker = Broker(BIN)

    def test_peers_that_have_gone_make_room(self):
        self.begin()
        for n in range(2200):
            r = Raw(self.broker.run, "bus", b"DEALER")
            r.send(frame(b"\x01\x01\x01\xa2py\x07\xc4\x00"))
            if n % 100 == 0:
                self.served()
            r.take(46)  # its READY, and the beginning of a welcome
            r.close()
        late = Door(self.broker.run, "late", 1)
        self.held.append(late)
        late.wait(WELCOME)
        self.served()

    def test_names_that_strangers_make_up_are_bounded(self):
        self.begin()
        outsider = Door(self.broker.run, "outsider", 1, cookie=False)
        self.held.append(outsider)
        outsider.wait(WELCOME)
        self.served()
        self.actor.send(COMMIT, "own", 1)
        for n in range(1500):
            outsider.send(COMMIT, "c%d" % n, 1)
        outsider.send(COMMIT, "newest", 1)
        until, names = time.monotonic() + 20, set()
        while "newest" not in names and time.monotonic() < until:
            db = sqlite3.connect("file:%s/journal.db?mode=ro" % self.broker.state, uri=True)
            names = {name for name, in db.execute("SELECT name FROM cursors")}
            db.close()
        self.assertIn("own", names)
        self.assertIn("newest", names)
        self.assertEqual(len(names), 1024 + 1)

    def test_starts_of_an_actor_leave_one_sender(self):
        self.begin()
        for n in range(2, 300):
            d = Door(self.broker.run, "flapping", n)
            d.wait(WELCOME)
            d.publish([record("actor.started", header("flapping", n, 1), {"actor": "x"})])
            d.wait(ACK)
            d.close()
        self.broker.stop()
        self.broker.start()
        until = time.monotonic() + 20
        rows = None
        while rows != [(299,)] and time.monotonic() < until:
            db = sqlite3.connect("file:%s/journal.db?mode=ro" % self.broker.state, uri=True)
            rows = db.execute("SELECT incarnation FROM senders WHERE sender='flapping'").fetchall()
            db.close()
            time.sleep(0.05)
        self.assertEqual(rows, [(299,)])


if __name__ == "__main__":
    unittest.main(verbosity=1)

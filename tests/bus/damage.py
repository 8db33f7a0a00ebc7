#!/usr/bin/python3
"""A journal that is damaged in one place: never an empty start in silence, nothing lost but what lay there, and
whoever follows is told. usage: damage.py BIN_DIR [TEST...]"""

import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from broker import Broker, bin_dir
from door import ACK, ANSWER, CREDIT, DELIVER, Door, Event, LAST, WELCOME, header, record

BIN = bin_dir()
del sys.argv[1:2]
FULL = bool(os.environ.get("LOPS_TEST_FULL"))
PAGE, EVENTS, DEPLOYMENTS, ROWS_A_PAGE = 4096, 4000, 40, 40
FILES = ("journal.db", "journal.db-wal")
MARK = "journal.mark"  # what the log has to hold
FRAME = 24 + PAGE


class Damage(unittest.TestCase):
    """One journal, made once: most of it in the database, its newest part in the log."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(BIN)
        cls.broker.start()
        cls.broker.wait_up()
        d = Door(cls.broker.run, "maker", 1)
        d.wait(WELCOME)
        cls.newest, records = {}, []
        for n in range(1, EVENTS + 1):
            dep, head = "d%d" % (n % DEPLOYMENTS), header("maker", 1, n)
            if n % 1000 == 999:
                records.append(record("deployment.deleted/" + dep, head, {"deployment_id": dep}))
                cls.newest.pop(dep, None)
            else:
                long = "x" * 9000 if n % 500 == 250 else ""
                records.append(record("deployment.changed/" + dep, head, {"process": cls.process(dep, long)}))
                cls.newest[dep] = n
        for n in range(0, EVENTS, 50):
            d.publish(records[n:n + 50])
            while d.wait(ACK)[1] < n + 50:
                pass
        d.close()
        cls.broker.kill()  # so that the log stays
        cls.whole = {}
        for name in (*FILES, MARK):
            with open(os.path.join(cls.broker.state, name), "rb") as f:
                cls.whole[name] = f.read()
        assert all(len(cls.whole[name]) > 50 * PAGE for name in FILES), "both files hold a part"

    @classmethod
    def tearDownClass(cls):
        cls.broker.done()

    def tearDown(self):
        self.broker.kill()

    @staticmethod
    def process(dep, command):
        return {"deployment_id": dep, "status": "running", "intent": "run", "generation": 1, "command": [command]}

    def put(self, files):
        for name in os.listdir(self.broker.state):
            if name.startswith("journal."):
                os.unlink(os.path.join(self.broker.state, name))
        for name, data in files.items():
            with open(os.path.join(self.broker.state, name), "wb") as f:
                f.write(data)
        self.said_before = len(self.broker.said())

    def said(self):
        return self.broker.said()[self.said_before:]

    def restart(self):
        """As lops-init does: whenever it ends it is started again."""
        self.incarnation = getattr(self, "incarnation", 1) + 1
        for _ in range(3):
            self.broker.start()
            d = Door(self.broker.run, "reader", self.incarnation)
            while self.broker.process.poll() is None:
                got = d.receive(0.1)
                if got and got[0] == WELCOME:
                    d.head = got[1][2]
                    return d
            d.close()
        self.fail("the broker ends over the same damage again and again:\n" + self.said())

    def follow_once(self, d):
        """All that is kept, and the ranges that are said to be gone; None: the broker ended over it."""
        d.subscribe([""], start=1, seq=0)
        events, gaps, at = [], [], 0
        while at < d.head:
            got = d.receive(0.2)
            if not got and self.broker.process.poll() is not None:
                return None
            if got and got[0] == DELIVER:
                for e in map(Event, got[1][2:]):
                    if e.topic == "bus.gap":
                        gaps.append((e.body["from"], e.body["to"]))
                        at = e.body["to"]
                    elif e.topic != "bus.degraded":
                        self.assertEqual(e.seq, at + 1 if at else e.seq)
                        events.append(e.seq)
                        at = e.seq
                d.send(CREDIT, 1, got[2])
        return events, gaps

    def follow(self):
        for _ in range(3):
            d = self.restart()
            got = self.follow_once(d)
            if got:
                return (d, *got)
            d.close()
        self.fail("the broker ends over the same damage again and again:\n" + self.said())

    def last_values(self, d):
        d.send(LAST, 1, "process/")
        got = {}
        while True:
            rest = d.wait(ANSWER)
            for e in map(Event, rest[2:]):
                got[e.topic.split("/")[1]] = e.seq
            if not rest[1]:
                return got

    def check(self, what, may_lose=ROWS_A_PAGE):
        d, events, gaps = self.follow()
        missing = set(range(1, EVENTS + 1)) - set(events)
        self.assertLessEqual(len(missing), may_lose, "%s: %s" % (what, self.said()))
        if missing:
            self.assertIn("journal.db.corrupt-1", self.said(), what)
            told = {n for a, b in gaps for n in range(a, b + 1)}
            ends = set(range(1, min(events))) | set(range(d.head + 1, EVENTS + 1))
            self.assertEqual(missing, (told | ends) & missing, what)
        self.assertEqual(self.last_values(d), self.newest, what)
        d.publish([record("actor.started", header("reader", self.incarnation, 1), {"actor": "x"})])
        self.assertGreater(d.wait(ACK)[2], d.head, what)
        d.close()
        self.broker.kill()

    def each(self, n, seed, make):
        """How many of n kinds of damage were found; all of them have to be survived, with the mark and without."""
        rng, found = random.Random(seed), 0
        for k in range(n):
            files = dict(self.whole)
            if k % 2:
                del files[MARK]
            what = make(rng, files)
            self.put(files)
            self.check(what)
            found += "damaged" in self.said()
        return found

    def test_a_commit_that_a_death_cut_off_is_no_damage(self):
        """Header and page of a frame are written apart: the log may end in a header, or in part of a page."""
        end = self.end_of_log()
        without_mark = {name: self.whole[name] for name in FILES}
        for torn in (self.commit_header(), self.commit_header() + b"x" * 1000):
            for files in (self.whole, without_mark):
                self.no_damage(files, self.whole["journal.db-wal"][:end] + torn)

    def test_nor_is_one_that_stands_before_an_old_page(self):
        """The log is written over what was there: behind the new header lies the page of an older time."""
        end = self.end_of_log()
        self.no_damage(self.whole, self.whole["journal.db-wal"][:end] + self.commit_header() + b"y" * PAGE + b"z" * 9000)

    def test_the_first_commit_of_a_new_generation_cut_off(self):
        """All of the log is in the database by then, and the next one begins at the front."""
        self.put(self.whole)
        self.restart().close()
        self.broker.stop()  # folds the log, and removes it
        self.assertFalse(os.path.exists(os.path.join(self.broker.state, "journal.db-wal")))
        with open(os.path.join(self.broker.state, "journal.db"), "rb") as f:
            folded = f.read()
        log = bytearray(self.whole["journal.db-wal"])
        log[16:20] = (int.from_bytes(log[16:20], "big") + 1).to_bytes(4, "big")
        a = b = 0
        for at in range(0, 24, 8):
            order = "big" if log[3] & 1 else "little"
            a = a + int.from_bytes(log[at:at + 4], order) + b & 0xffffffff
            b = b + int.from_bytes(log[at + 4:at + 8], order) + a & 0xffffffff
        log[24:32] = a.to_bytes(4, "big") + b.to_bytes(4, "big")
        log[32:56] = self.commit_header(bytes(log[16:24]))
        self.no_damage({**self.whole, "journal.db": folded}, bytes(log))

    def end_of_log(self):
        log = self.whole["journal.db-wal"]
        frames = range(32, len(log) - FRAME + 1, FRAME)
        return max(at for at in frames if log[at + 8:at + 16] == log[16:24] and any(log[at + 4:at + 8])) + FRAME

    def commit_header(self, salt=None):
        return (3).to_bytes(4, "big") + (99).to_bytes(4, "big") + (salt or self.whole["journal.db-wal"][16:24]) + bytes(8)

    def no_damage(self, files, log):
        self.put({**files, "journal.db-wal": log})
        d, events, gaps = self.follow()
        d.close()
        self.broker.kill()
        self.assertEqual(self.said(), "")
        self.assertEqual((events, gaps), (list(range(1, EVENTS + 1)), []))

    def test_the_last_acknowledged_commit_damaged(self):
        """The same bytes, but the mark knows better."""
        log = bytearray(self.whole["journal.db-wal"])
        log[self.end_of_log() - PAGE + 100] ^= 1
        for mark in ({MARK: self.whole[MARK]}, {}, {MARK: self.whole[MARK][:-1] + b"!"}, {MARK: b""}):
            self.put({"journal.db": self.whole["journal.db"], "journal.db-wal": bytes(log), **mark})
            self.check("with a mark of %d bytes" % len(mark.get(MARK, b"")))
            self.assertIn("damaged", self.said())

    def test_a_log_that_is_gone(self):
        """With what was acknowledged in it; nobody but the mark can tell."""
        for files in ({"journal.db": self.whole["journal.db"]}, {}):
            self.put({MARK: self.whole[MARK], **files})
            d = self.restart()
            self.assertIn("the journal was damaged", self.said())
            self.assertLess(d.head, EVENTS)
            d.close()
            self.broker.kill()
            self.said_before = len(self.broker.said())
            self.restart().close()
            self.broker.kill()
            self.assertEqual(self.said(), "", "once is enough")

    def test_flipped_bits(self):
        def flip(rng, files):
            name = FILES[rng.randrange(4) == 0]
            data = bytearray(files[name])
            at = rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
            files[name] = bytes(data)
            return "%s: byte %d of page %d" % (name, at % PAGE, at // PAGE + 1)

        n = 200 if FULL else 20
        self.assertGreater(self.each(n, 3, flip), n // 4, "most of a page is records")

    def test_pages_of_something_else(self):
        def spoil(rng, files):
            data = bytearray(files["journal.db"])
            at = rng.randrange(len(data) // PAGE) * PAGE
            data[at:at + PAGE] = rng.choice((bytes(PAGE), rng.randbytes(PAGE), data[PAGE:2 * PAGE]))
            files["journal.db"] = bytes(data)
            return "page %d" % (at // PAGE + 1)

        self.each(100 if FULL else 10, 4, spoil)

    def test_the_first_page_and_the_top_of_every_tree(self):
        for page in range(12):
            data = bytearray(self.whole["journal.db"])
            data[page * PAGE:page * PAGE + 100] = bytes(100)
            self.put(dict(self.whole, **{"journal.db": bytes(data)}))
            self.check("page %d" % (page + 1))

    def test_a_first_page_that_no_log_mends(self):
        self.put(self.whole)
        self.restart().close()
        self.broker.stop()  # folds the log
        path = os.path.join(self.broker.state, "journal.db")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        data[:PAGE] = bytes(PAGE)
        self.put({"journal.db": bytes(data)})
        self.check("nothing tells the schema", 0)
        self.assertIn("journal.db.corrupt-1", self.said())

    def test_files_cut_short_or_gone(self):
        half = self.whole["journal.db"][:len(self.whole["journal.db"]) // 2 + 77]
        for what, files in (("empty", {"journal.db": b""}), ("no database", {}), ("half", {"journal.db": half})):
            self.put(dict(files, **{"journal.db-wal": self.whole["journal.db-wal"]}))
            d = self.restart()
            self.assertIn("journal.db.corrupt-1", self.said(), what)
            self.assertEqual(d.head, EVENTS, what)  # the log holds the newest
            d.close()
            self.broker.kill()
        self.put({"journal.db": b""})
        self.restart().close()
        self.assertIn("0 events", self.said())

    def test_a_salvage_that_is_killed_starts_over(self):
        data = bytearray(self.whole["journal.db"])
        data[120 * PAGE:121 * PAGE] = bytes(PAGE)
        self.put(dict(self.whole, **{"journal.db": bytes(data), "journal.damaged": b""}))
        rng = random.Random(9)
        for _ in range(20 if FULL else 6):
            self.broker.start()
            time.sleep(rng.random() * 0.25)  # only when the kill falls depends on it
            self.broker.kill()
        self.check("killed while salvaging")


if __name__ == "__main__":
    unittest.main(verbosity=1)

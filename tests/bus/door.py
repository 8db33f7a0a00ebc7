"""A client of the stream door written from docs/PROTOCOL.md alone: pyzmq and msgpack, none of our code."""

import os
import struct
import time

import msgpack
import zmq

HELLO, PUBLISH, SUBSCRIBE, CREDIT, COMMIT, GET, LAST, BACK, UNSUBSCRIBE, PING, RETAIN = range(1, 12)
WELCOME, ACK, DELIVER, LOADED, ANSWER, REFUSED, PONG = range(33, 40)
FIELDS = "version epoch seq prev dprev cause sender incarnation number did time_ns mono_ns uid".split()
NOBODY = 2**64 - 1


def fixed(n):
    return b"\xcf" + struct.pack(">Q", n)


def header(sender, incarnation, number, cause=0, did=0):
    name = sender.encode()
    out = b"\x9d\x01" + fixed(0) * 4 + fixed(cause) + b"\xd9" + bytes([len(name)]) + name
    return out + fixed(incarnation) + fixed(number) + fixed(did) + fixed(time.time_ns()) + fixed(0) + fixed(NOBODY)


def record(topic, head, body):
    t = topic.encode()
    packed = msgpack.packb(body)
    return (b"\x93\xd9" + bytes([len(t)]) + t + b"\xc4" + bytes([len(head)]) + head
            + b"\xc6" + struct.pack(">I", len(packed)) + packed)


def values(packet):
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=1 << 20)
    unpacker.feed(packet)
    return list(unpacker)


class Event:
    def __init__(self, rec):
        self.topic = rec[0]
        for name, value in zip(FIELDS, msgpack.unpackb(rec[1])):
            setattr(self, name, value)
        self.body = msgpack.unpackb(rec[2])


class Door:
    """One connection. receive() gives (verb, rest) or None."""

    def __init__(self, run_dir, sender, incarnation, cookie=True):
        self.context = zmq.Context.instance()
        self.sender, self.incarnation = sender, incarnation
        self.endpoint = "ipc://%s/bus" % run_dir
        self.cookie = b""
        if cookie:
            with open(os.path.join(run_dir, "cookie"), "rb") as f:
                self.cookie = f.read()
        self.socket = None
        self.connect()

    def connect(self):
        if self.socket:
            self.socket.close(0)
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 10)
        self.socket.connect(self.endpoint)
        self.hello()

    def hello(self):
        self.send(HELLO, 1, 1, self.sender, self.incarnation, self.cookie)

    def send(self, *items):
        self.raw(b"".join(msgpack.packb(i) for i in items))

    def raw(self, packet):
        self.socket.send(packet)

    def publish(self, records):
        self.raw(b"\x02" + b"".join(records))

    def subscribe(self, prefixes, start=0, seq=0, cursor="", keys=(), credit=1 << 20, number=1):
        self.send(SUBSCRIBE, number, start, seq, cursor, credit, list(prefixes), list(keys))

    def receive(self, seconds=5.0):
        if not self.socket.poll(int(seconds * 1000)):
            return None
        packet = self.socket.recv()
        all_of_it = values(packet)
        return all_of_it[0], all_of_it[1:], len(packet)

    def wait(self, verb, seconds=10.0):
        """The next packet of that verb; others are dropped."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            got = self.receive(until - time.monotonic())
            if got and got[0] == verb:
                return got[1]
        raise AssertionError("no answer %d within %s s" % (verb, seconds))

    def close(self):
        self.socket.close(0)

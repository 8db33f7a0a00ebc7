"""A ZMTP 3.0 peer by hand over a unix socket, for what no library would send."""

import os
import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
MORE, LONG, COMMAND = 1, 2, 4


def frame(body, flags=0):
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def ready(kind):
    def prop(name, value):
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return frame(b"\x05READY" + prop(b"Socket-Type", kind) + prop(b"Identity", b""), COMMAND)


class Raw:
    def __init__(self, run_dir, door, kind=None):
        """With a kind the handshake is done; without nothing is said."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.path.join(run_dir, door))  # waits where the queue is full
        self.socket.settimeout(10)
        if kind:
            self.socket.sendall(GREETING + ready(kind))
            self.take(64)

    def take(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise ConnectionError("closed after %d bytes" % len(got))
            got += more
        return got

    def send(self, data):
        """Whether it was taken: the other end may have had enough."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def close(self):
        self.socket.close()

"""A real broker in folders of its own, for the tests of the bus."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class Broker:
    def __init__(self, bin_dir):
        self.program = os.path.join(bin_dir, "lops-broker")
        self.top = tempfile.mkdtemp(prefix="lops-bus-")
        self.run = os.path.join(self.top, "run")
        self.state = os.path.join(self.top, "state")
        os.mkdir(self.run, 0o700)
        os.mkdir(self.state, 0o700)
        self.process = None
        self.log = open(os.path.join(self.top, "log"), "ab")

    def start(self, wrapper=()):
        env = dict(os.environ, LOPS_RUN_DIR=self.run, LOPS_STATE_DIR=self.state)
        self.process = subprocess.Popen([*wrapper, self.program], env=env, stderr=self.log, stdout=self.log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_up(self, seconds=20):
        """Until the doors are bound by this process (the cookie and the socket are there and it lives)."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.path.exists(os.path.join(self.run, "bus")) and os.path.exists(os.path.join(self.run, "cookie")):
                return
            if self.process.poll() is not None:
                raise AssertionError("the broker ended with %s:\n%s" % (self.process.returncode, self.said()))
            time.sleep(0.01)
        raise AssertionError("the broker does not come up")

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def said(self):
        with open(os.path.join(self.top, "log"), "rb") as f:
            return f.read().decode(errors="replace")

    def done(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.log.close()
        shutil.rmtree(self.top, ignore_errors=True)


def bin_dir():
    if len(sys.argv) < 2:
        sys.exit("usage: %s BIN_DIR" % sys.argv[0])
    return os.path.abspath(sys.argv[1])

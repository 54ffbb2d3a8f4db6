# SPDX-License-Identifier: GPL-2.0
"""Runs the lab's command as a person would."""

import os
import subprocess
import tempfile
import unittest
from contextlib import contextmanager
from pathlib import Path

LAB = Path(__file__).resolve().parents[2] / "qemu" / "lab"

STATUS_SPLAT, STATUS_TIMEOUT, STATUS_LAB = 123, 124, 125


class LabCase(unittest.TestCase):
    """Each class of tests has a lab of its own name."""

    @classmethod
    def name(cls) -> str:
        return f"test-{cls.__name__.lower()}-{os.getpid()}"

    @classmethod
    def lab(cls, *words: str, stdin: bytes | None = None, cwd: str | None = None,
            env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([LAB, "--name", cls.name(), *words], capture_output=True, check=False,
                              input=stdin, timeout=400, cwd=cwd, env=os.environ | (env or {}))

    def ok(self, *words: str, **more) -> str:
        """Run it, demand success, give its output."""
        done = self.lab(*words, **more)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout!r} {done.stderr!r}")
        return done.stdout.decode()

    def fails(self, status: int, *words: str, **more) -> str:
        """Run it, demand this status, give what it said on standard error."""
        done = self.lab(*words, **more)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout!r} {done.stderr!r}")
        return done.stderr.decode()


class RunCases:
    """What `lab run` promises on any bed."""

    BED = ""

    def run_words(self, *words: str) -> tuple[str, ...]:
        return "run", "--bed", self.BED, *words

    @contextmanager
    def directory(self):
        # Not /tmp: that is a tmpfs of its own in the machine.
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            yield Path(name)

    def test_status_and_output_pass_through(self):
        done = self.lab(*self.run_words("--", "sh", "-c", "echo out; echo err >&2; exit 7"))
        self.assertEqual((done.returncode, done.stdout), (7, b"out\n"), done.stderr)
        self.assertIn(b"err\n", done.stderr)

    def test_input_and_environment_reach_the_command(self):
        words = self.run_words("-i", "-q", "--env", "COLOUR=green", "--", "sh", "-c", 'cat; echo "$COLOUR"')
        data = bytes(range(256)) * 4096
        done = self.lab(*words, stdin=data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, data + b"green\n")

    def test_time_out_kills(self):
        said = self.fails(STATUS_TIMEOUT, *self.run_words("--timeout", "2", "--", "sleep", "1000"))
        self.assertIn("timed out", said)

    def test_splat_fails_a_command_that_succeeds(self):
        said = self.fails(STATUS_SPLAT, *self.run_words(
            "--", "sh", "-c", "echo '<4>BUG: made up by a test' > /dev/kmsg; exit 0"))
        self.assertIn("BUG: made up by a test", said)

    def test_machine_that_goes_away_fails(self):
        said = self.fails(STATUS_LAB, *self.run_words("--", "busybox", "poweroff", "-f"))
        self.assertIn("went away", said)

    def test_share_is_seen_and_written_at_the_same_path(self):
        with self.directory() as here:
            (here / "in").write_text("from the host\n")
            out = self.ok(*self.run_words("-q", "--share", str(here), "--", "sh", "-c", "cat in; pwd; echo back > out"),
                          cwd=str(here))
            self.assertEqual(out, f"from the host\n{here}\n")
            self.assertEqual((here / "out").read_text(), "back\n")

    def test_stage_is_merged_into_the_root(self):
        with self.directory() as here:
            tool = here / "bin" / "staged-tool"
            tool.parent.mkdir()
            tool.write_text("#!/bin/sh\necho staged\n")
            tool.chmod(0o755)
            out = self.ok(*self.run_words("-q", "--", "sh", "-c", "staged-tool; ls -d /bin/sh"),
                          env={"AF_FEED_STAGE": str(here)})
        self.assertEqual(out, "staged\n/bin/sh\n")

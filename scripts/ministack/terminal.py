"""A person at a terminal: runs a page's commands in order, and answers what they ask."""
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

FENCE = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.M | re.S)
BY_HAND = re.compile(r"\*\*By hand[^*]*\*\*")


def blocks(page):
    """The commands of a page, and the steps by hand, in the order in which they stand."""
    found = []
    for m in re.finditer(FENCE.pattern + "|" + BY_HAND.pattern, page, re.M | re.S):
        if m[2] is None:
            found.append(("by hand", " ".join(page[m.end():].split("\n\n")[0].split())))
        else:
            found.append(("sh", "\n".join(line.removeprefix(m[1]) for line in m[2].splitlines())))
    return found


class Shell:
    """Runs one block after the other, each with what the ones before set."""

    def __init__(self, folder, env, state):
        self.folder, self.env, self.state = folder, env, state
        self.state.touch()

    def run(self, block, answers=(), seconds=300):
        """Runs a block on a terminal. answers are pairs of a pattern of a prompt and what
        is typed there, each for as often as it is asked. Returns code and screen."""
        text = f"set -ae\n. {self.state}\n{block}\n{{ export -p; declare -f; }} >{self.state}\n"
        person, command = pty.openpty()
        settings = termios.tcgetattr(command)
        settings[3] &= ~termios.ECHO  # the screen shows what the commands say
        termios.tcsetattr(command, termios.TCSANOW, settings)
        process = subprocess.Popen(["bash", "--norc", "-c", text], cwd=self.folder, env=self.env, stdin=command, stdout=command,
                                   stderr=command, start_new_session=True)
        os.close(command)
        screen, unread, end = "", "", time.monotonic() + seconds
        try:
            while True:
                if time.monotonic() > end:
                    raise SystemExit(f"ministack: no end within {seconds} s of:\n{block}\n{screen[-3000:]}")
                ready, _, _ = select.select([person], [], [], 0.2)
                if not ready:
                    if process.poll() is not None:
                        break
                    continue
                try:
                    data = os.read(person, 65536).decode("utf-8", "replace")
                except OSError:  # the last one who had the terminal is gone
                    break
                screen += data
                unread += data
                for pattern, answer in answers:
                    if asked := re.search(pattern, unread):
                        unread = unread[asked.end():]
                        os.write(person, ((answer(screen) if callable(answer) else answer) + "\n").encode())
                        break
            return process.wait(10), screen.replace("\r\n", "\n")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            os.close(person)

"""
Runs a command on a terminal of its own, in the foreground as a shell would, and types into it.

    terminal.py SCRIPT COMMAND...

SCRIPT is JSON: [[text to wait for, keys to type], …]; keys "<hangup>" close the terminal instead. Prints JSON: {status, signal, output}.
"""

import json
import os
import pty
import select
import struct
import sys
import time

import fcntl
import termios

PATIENCE = 30

steps = json.loads(sys.argv[1])
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 97, 0, 0))
output = b""
seen = 0
deadline = time.monotonic() + PATIENCE
while True:
    if steps:
        at = output.find(steps[0][0].encode(), seen)
        if at != -1:
            seen = at + len(steps[0][0])
            keys = steps.pop(0)[1]
            if keys == "<hangup>":
                os.close(master)
                break
            os.write(master, keys.encode())
            continue
    ready, _, _ = select.select([master], [], [], 0.2)
    if ready:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        output += data
    if time.monotonic() > deadline:
        os.kill(pid, 9)
        output += b"<terminal.py ran out of patience>"
        break
_, status = os.waitpid(pid, 0)
print(
    json.dumps(
        {
            "status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "output": output.decode("utf-8", "replace"),
        }
    )
)

"""Relay to ports of this machine, as a process: ``python tests/dask_relay.py ADDRESS PORT...``.

It prints the ports of the address that lead there, and forwards until it reads "cut"; after "mend"
what has waited is forwarded.
"""

import socket
import sys
import threading
from contextlib import suppress

passing = threading.Event()


def accept(listening, port):
    while True:
        near, _ = listening.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(one, other), daemon=True).start()


def pump(one, other):
    with suppress(OSError):
        while data := one.recv(65536):
            passing.wait()
            other.sendall(data)
    passing.wait()
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def main():
    passing.set()
    ports = []
    address, *others = sys.argv[1:]
    for port in map(int, others):
        listening = socket.create_server((address, 0))
        ports.append(listening.getsockname()[1])
        threading.Thread(target=accept, args=(listening, port), daemon=True).start()
    print(*ports, flush=True)
    for line in sys.stdin:
        (passing.set if line.strip() == "mend" else passing.clear)()


if __name__ == "__main__":
    main()

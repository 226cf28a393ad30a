"""A long line: line.py HOST PORT MILLISECONDS listens on a port of loopback, says which, and passes bytes on in both
directions, each after so many milliseconds. There is no other delay on loopback, and not every kernel can make one.
"""

import queue
import socket
import sys
import threading
import time

PIECE = 512 * 1024


def pass_on(source, target, delay):
    """Passes on what comes, each piece at its time; nothing waits for anything but that."""
    pieces = queue.SimpleQueue()

    def send():
        while True:
            due, piece = pieces.get()
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            try:
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)
            except OSError:
                return

    threading.Thread(target=send, daemon=True).start()
    while True:
        try:
            piece = source.recv(PIECE)
        except OSError:
            piece = b""
        pieces.put((time.monotonic() + delay, piece))
        if not piece:
            return


def main():
    """Listens until it is ended."""
    host, port, milliseconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            near, _ = listener.accept()
            far = socket.create_connection((host, port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=(*pair, milliseconds / 1000), daemon=True).start()


if __name__ == "__main__":
    main()

"""A recorder between QEMU and a vhost-user-gpu backend.

It relays the vhost-user connection, puts itself into the display socket that QEMU hands over (GPU_SET_SOCKET), and notes
what the backend sends to the display: what QEMU's own screendump cannot show, as the cursor and the damage.
"""

import array
import os
import socket
import struct
import threading

HEADER = struct.Struct("<III")
GPU_SET_SOCKET = 33
GPU_GET_DISPLAY_INFO = 3
GPU_CURSOR_POS, GPU_CURSOR_POS_HIDE, GPU_CURSOR_UPDATE = 4, 5, 6
GPU_SCANOUT, GPU_UPDATE = 7, 8
GPU_GET_EDID = 11
FDS_MAX = 32
CURSOR_BYTES = 64 * 64 * 4
DISPLAY_INFO_HEADER = 24
DISPLAY_INFO_HEAD = struct.Struct("<IIIIII")


def _receive_fds(ancillary):
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def _receive(sock, size):
    """Exactly size bytes with the fds that came along, or (None, fds) at the end of the stream."""
    data, fds = b"", []
    while len(data) < size:
        part, ancillary, _, _ = sock.recvmsg(size - len(data), socket.CMSG_SPACE(FDS_MAX * 4), socket.MSG_CMSG_CLOEXEC)
        fds += _receive_fds(ancillary)
        if not part:
            return None, fds
        data += part
    return data, fds


def _send(sock, data, fds):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([data], ancillary)
    sock.sendall(data[sent:])


class GpuTap:
    """heads: how many outputs to switch on. QEMU leaves all but the first off until someone looks at them, so its answers
    about the others are replaced by those about the first.
    """

    def __init__(self, heads=1):
        self.heads = heads
        self.requests = []  # of QEMU: (request, flags, payload, number of fds)
        self.edid = None
        self.lock = threading.Lock()
        self.scanouts = {}
        self.updates = []
        self.cursor = None
        self.cursor_hot = None
        self.cursor_pos = None
        self.cursor_scanout = None
        self.errors = []
        self.sockets = []
        self.threads = []
        self.listener = None

    def start(self, path, backend_path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        self._thread(self._serve, backend_path)

    def close(self):
        if self.listener is not None:
            self._shut(self.listener)
        with self.lock:
            sockets = list(self.sockets)
        for sock in sockets:
            self._shut(sock)
        for thread in self.threads:
            thread.join(2)

    @staticmethod
    def _shut(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _thread(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _serve(self, backend_path):
        try:
            front, _ = self.listener.accept()
        except OSError:
            return
        finally:
            self.listener.close()
        back = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        back.connect(backend_path)
        self._pair(front, back, self._from_qemu, None)

    def _pair(self, front, back, on_front, on_back):
        with self.lock:
            self.sockets += [front, back]
        self._thread(self._relay, front, back, on_front)
        self._thread(self._relay, back, front, on_back)

    def _relay(self, source, target, change):
        """Passes messages on until either side ends, then ends both."""
        try:
            while True:
                header, fds = _receive(source, HEADER.size)
                if header is None:
                    break
                request, flags, size = HEADER.unpack(header)
                payload, more = _receive(source, size) if size else (b"", [])
                if payload is None:
                    break
                fds += more
                if change is not None:
                    payload, fds = change(request, flags, payload, fds)
                _send(target, header + payload, fds)
                for fd in fds:
                    os.close(fd)
        except OSError as error:
            self.errors.append(str(error))
        finally:
            self._shut(source)
            self._shut(target)

    def _from_qemu(self, request, flags, payload, fds):
        self.requests.append((request, flags, payload, len(fds)))
        if request != GPU_SET_SOCKET or len(fds) != 1:
            return payload, fds
        ours, backends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._pair(socket.socket(fileno=fds[0]), ours, self._from_display, self._to_display)
        return payload, [backends.detach()]

    def _from_display(self, request, _flags, payload, fds):
        if request == GPU_GET_DISPLAY_INFO and self.heads > 1:
            info = bytearray(payload)
            _, _, width, height, _, _ = DISPLAY_INFO_HEAD.unpack_from(info, DISPLAY_INFO_HEADER)
            for i in range(self.heads):
                at = DISPLAY_INFO_HEADER + i * DISPLAY_INFO_HEAD.size
                DISPLAY_INFO_HEAD.pack_into(info, at, i * width, 0, width, height, 1, 0)
            payload = bytes(info)
        if request == GPU_GET_EDID and self.heads > 1:
            self.edid = self.edid or payload
            payload = self.edid
        return payload, fds

    def _to_display(self, request, _flags, payload, fds):
        with self.lock:
            if request == GPU_SCANOUT:
                scanout, width, height = struct.unpack("<III", payload)
                self.scanouts[scanout] = (width, height)
            elif request == GPU_UPDATE:
                self.updates.append(struct.unpack_from("<IIIII", payload))
            elif request in (GPU_CURSOR_POS, GPU_CURSOR_POS_HIDE):
                self.cursor_scanout, *self.cursor_pos = struct.unpack("<III", payload)
            elif request == GPU_CURSOR_UPDATE:
                self.cursor_scanout, x, y, hot_x, hot_y = struct.unpack_from("<IIIII", payload)
                self.cursor_pos, self.cursor_hot = [x, y], [hot_x, hot_y]
                self.cursor = payload[20 : 20 + CURSOR_BYTES]
        return payload, fds

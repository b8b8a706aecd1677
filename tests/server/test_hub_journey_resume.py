"""A download whose connection breaks goes on where it stopped."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

SIZE = 45_000_000


class FlakyProxy:
    """Passes bytes between a client and the Hub, and breaks the first connections after `limit` bytes of answer."""

    def __init__(self, url: str, *, limit: int, breaks: int) -> None:
        self.target = (urlsplit(url).hostname, urlsplit(url).port)
        self.limit, self.breaks = limit, breaks
        self.requests: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                self.requests.append(data)
                server.sendall(data)
        except OSError:
            pass

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        try:
            while data := server.recv(65536):
                client.sendall(data)
                passed += len(data)
                if passed > self.limit and self.breaks:
                    self.breaks -= 1
                    break
        except OSError:
            pass
        for end in (client, server):
            end.close()


def test_a_broken_download_resumes(served, tmp_path: Path) -> None:
    code = f"""
        import hashlib, random
        from huggingface_hub import HfApi, hf_hub_download
        data = random.Random(1).randbytes({SIZE})
        HfApi().create_repo("alice/resumed")
        HfApi().upload_file(repo_id="alice/resumed", path_or_fileobj=data, path_in_repo="w.bin")
    """
    served.python(code, tmp_path / "up", HF_HUB_DISABLE_XET="1")
    proxy = FlakyProxy(served.url, limit=15_000_000, breaks=2)
    code = f"""
        import random
        from huggingface_hub import hf_hub_download
        assert open(hf_hub_download("alice/resumed", "w.bin"), "rb").read() == random.Random(1).randbytes({SIZE})
    """
    served.python(code, tmp_path / "down", HF_ENDPOINT=proxy.url, HF_HUB_DISABLE_XET="1")
    proxy.socket.close()
    assert proxy.breaks == 0, "the connection was broken twice"
    assert any(b"range: bytes=" in request.lower() for request in proxy.requests), "and the rest was asked for by range"

"""Files that name others: what they name is never opened. A pipe that nobody writes to would hold whoever opens it."""

import os
import socket
import subprocess
import sys

import pytest

from tests.hostile.files import PLAYLIST
from tests.workflow.conftest import ROOT

JOINED = "ffconcat version 1.0\nfile '{target}'\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>"
)
TITLES = "# VobSub index file, v7\ntimestamp: 00:00:01:000, filepos: 000000000\n"
LISTS = {
    "list.m3u8": PLAYLIST, "list.mp4": PLAYLIST, "list.ts": PLAYLIST, "joined.ffconcat": JOINED, "joined.mp4": JOINED,
    "joined.mkv": JOINED, "list.mpd": DASH, "dash.mp4": DASH, "pipe.idx": TITLES,
}  # fmt: skip
READ = "import sys; from pipeline.sources.source import probe; print(probe(sys.argv[1]).error)"


@pytest.fixture
def said(tmp_path):
    """What reading a file says that names `pipe.mp4`, or another target."""
    for name in ("pipe.mp4", "pipe.ts", "pipe.sub", "000.png"):
        os.mkfifo(tmp_path / name)

    def read(name, content, before="", seconds=20):
        (tmp_path / name).write_text(content)
        command = [sys.executable, "-c", f"{before}\n{READ}", str(tmp_path / name)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds).stdout.strip()

    return read


@pytest.mark.parametrize("name", LISTS)
def test_no_other_file_is_opened(said, name):
    for target in ("pipe.mp4", "pipe.ts"):
        assert said(name, LISTS[name].format(target=target))


def test_no_row_of_pictures_is_opened(said):
    assert said("%03d.png", "no picture")


def test_no_address_is_opened(said):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        for name in set(LISTS) - {"pipe.idx"}:
            assert said(name, LISTS[name].format(target=f"http://127.0.0.1:{port}/x.mp4"))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_pipe_holds_whoever_opens_it(said):
    """The rig itself: if all formats were let in, a list would lead to the pipe."""
    with pytest.raises(subprocess.TimeoutExpired):
        said(
            "joined.mp4",
            JOINED.format(target="pipe.mp4"),
            "import pipeline.sources.source as s; del s.LOCAL_ONLY['format_whitelist']",
            3,
        )

"""Raw material for the tests: small videos made on the spot."""

import os
import shutil
import subprocess

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pipeline.sources.media import ffmpeg_path  # noqa: E402
from tests.sound import write_wav  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def make_video(tmp_path):
    """A function that writes a video whose frame i has the grey level 20 + 2 i, and a tone, and gives its path."""

    def make(name="video.mp4", frames=90, rate=30, size=(64, 48), audio=True, options=(), grey=lambda i: 20 + 2 * i):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = size
        command = [ffmpeg_path(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray"]
        command += ["-s", f"{width}x{height}", "-r", str(rate), "-i", "-"]
        if audio:
            sound = tmp_path / "tone.wav"
            time = np.arange(int(22050 * frames / rate)) / 22050
            write_wav(sound, 0.3 * np.sin(2 * np.pi * 220 * time))
            command += ["-i", str(sound), "-c:a", "aac"]
        # Key frames are far apart, so that a cut by key frames would be seen.
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "1", "-g", "250", "-pix_fmt", "yuv444p"]
        command += [*options, str(path)]
        pictures = np.stack([np.full((height, width), grey(i), np.uint8) for i in range(frames)])
        subprocess.run(command, input=pictures.tobytes(), check=True)
        return path

    return make


@pytest.fixture(scope="session")
def browse(tmp_path_factory):
    """A function that opens a page in headless Chromium and gives the page as it then is."""
    if not CHROMIUM:
        pytest.skip("no Chromium on PATH: install Debian's package `chromium` to test the pages in a browser")

    def opened(folder, address="", *options):
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                   "--virtual-time-budget=5000", "--run-all-compositor-stages-before-draw",
                   f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", *options]  # fmt: skip
        page = (folder / "index.html").as_uri() + "#" + address
        return subprocess.run([*command, page], capture_output=True, text=True, timeout=120, check=True).stdout

    return opened

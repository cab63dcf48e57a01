"""The quality page holds every clip, good or bad, is safe to open, and sorts, filters and opens clips in a browser."""

import importlib
import json
import re
import shutil
import sys
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote

import cv2
import numpy as np
import pandas as pd
import pytest

from features.audio import AudioSettings, column_names, column_units
from features.draw import BOX, POINT
from features.openface import COLUMNS, UNITS, block_slice
from pipeline.base.store import ClipFeatures, StoreAttributes, write_store
from pipeline.pages.qc import read_clips_table
from pipeline.pages.qc_sheet import contact_sheet, place_of
from pipeline.sources.manifest_table import COLUMNS as MANIFEST_COLUMNS
from tests.sound import write_wav

VIDEO = "甲 1#%"  # a name that is hard on addresses
ODD = "a<b>&\"'$x"  # a clip's name that is hard on HTML
TEXT = "今天</td><script>alert(1)</script>很 & 开心"
BOX_OF_FACE = [20, 10, 44, 40]


def seen_features(frames, faces):
    """Facial features of a clip of which the first `faces` frames have a face; its pixels are the frame's, doubled."""
    values = np.full((frames, len(COLUMNS)), np.nan, np.float32)
    box, transform = np.full((frames, 4), np.nan, np.float32), np.full((frames, 2, 3), np.nan, np.float32)
    values[:faces] = np.random.default_rng(0).normal(0, 0.1, (faces, len(COLUMNS)))
    values[:faces, block_slice("x")], values[:faces, block_slice("y")] = 2 * 30, 2 * 20
    box[:faces], transform[:faces] = BOX_OF_FACE, 2 * np.eye(2, 3)
    success = np.arange(frames) < faces
    neutral = {"person": np.where(success, 1, -1), "neutral_frames": [7, 1234], "neutral_intensity": np.zeros((2, 17))}
    neutral["neutral_intensity"][1, :2] = 1.26, 0.4
    return {"success": success, "confidence": 0.9 * success, "box": box, "transform": transform, "values": values} | neutral


@pytest.fixture
def corpus(tmp_path, make_video):
    """Clips, features, manifest and flags of one video: a good clip, one without a face, one of text alone, broken ones."""
    clips, features = tmp_path / "clips" / VIDEO, tmp_path / "features"
    clips.mkdir(parents=True)
    shutil.copy(make_video(frames=60), clips / "0001.mp4")
    shutil.copy(clips / "0001.mp4", clips / f"{ODD}.mp4")
    (clips / "broken.mp4").write_text("This is no video.\n")
    write_wav(clips / "0001.wav", 0.5 * np.sin(2 * np.pi * 100 * np.arange(44100) / 22050))
    nothing, silence = np.zeros((0, len(COLUMNS))), np.zeros((0, 33))
    sound = np.zeros((87, 33))
    sound[10:30, 0] = np.log(100)
    flagged = "no video; see its clips.csv"
    seen, heard, rows = {}, {}, []
    for clip_id, video, audio, faces, flags in (
        ("0001", "0001.mp4", "0001.wav", 45, ""),
        (ODD, f"{ODD}.mp4", "", 0, "no_audio;no_face"),
        ("text", "", "", None, "no_video;no_audio"),
        ("broken", "broken.mp4", "", None, "no_video"),
    ):
        found = {"values": nothing} if faces is None else seen_features(60, faces)
        seen[clip_id] = ClipFeatures(found.pop("values"), found, [], flagged)
        heard[clip_id] = ClipFeatures(sound if audio else silence)
        row = {"video_id": VIDEO, "clip_id": clip_id, "mode": "train", "video": video, "audio": audio, "text": TEXT}
        rows.append(row | {"flags": flags, "message": f"{clip_id}: <i>{flagged}" if flags else ""})
    table = pd.DataFrame(rows)
    table[["clip_id", "video", "audio", "flags", "message"]].to_csv(clips / "clips.csv", index=False)
    table[["video_id", "clip_id", "mode", "flags", "message"]].to_csv(tmp_path / "quality.csv", index=False)
    table.reindex(columns=MANIFEST_COLUMNS).to_csv(tmp_path / "manifest.csv", index=False)
    settings = AudioSettings()
    of_audio = StoreAttributes(column_names(settings), column_units(settings), 22050 / 512, "test")
    write_store(features / "audio" / f"{VIDEO}.h5", heard.items(), of_audio)
    write_store(features / "vision" / f"{VIDEO}.h5", seen.items(), StoreAttributes(COLUMNS, UNITS, 30.0, "test"))
    return tmp_path


def run(module, **options):
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        importlib.import_module(f"pipeline.{module}").main()


def make_page(corpus, name="qc"):
    """The page's folder, made by the two commands."""
    folder = corpus / name
    clips, features = corpus / "clips" / VIDEO, corpus / "features"
    run("pages.qc_video", clips=clips, features=features, output=folder / "videos" / VIDEO)
    inputs = {"manifest": corpus / "manifest.csv", "quality": corpus / "quality.csv", "videos": folder / "videos"}
    run("pages.qc", **inputs, corpus="a <test> corpus", output=folder / "index.html")
    return folder


def tracks_of(folder):
    """Video name and clips as the browser gets them."""
    script = (folder / "videos" / VIDEO / "tracks.js").read_text(encoding="utf-8")
    video, clips = json.loads("[" + script.removeprefix("showTracks(").removesuffix(");\n") + "]")
    return video, dict(clips)


class Cells(HTMLParser):
    """The texts of the cells of the table's body, row by row, and all tags of the page."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "tr")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_the_page_of_good_and_bad_clips(corpus):
    folder = make_page(corpus)
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Cells(text)
    rows = [row for row in page.rows if row]
    assert [row[:2] for row in rows] == [[VIDEO, "0001"], [VIDEO, ODD], [VIDEO, "text"], [VIDEO, "broken"]]
    assert rows[0][2:] == ["train", "2.0", "75.0", "0.68", "100", "", TEXT]
    assert rows[1][2:7] == ["train", "2.0", "0.0", "0.00", "–"] and rows[3][3:7] == ["–"] * 4
    assert rows[1][7].split() == ["no_audio", "no_face", f"{ODD}:", "<i>no", "video;", "see", "its", "clips.csv"]
    assert all(row[-1] == TEXT for row in rows)
    flags = {tag["data-flag"] for name, tag in page.tags if "data-flag" in tag}
    assert flags == {"", "none", "any", "no_audio", "no_face", "no_video"}
    addresses = [tag[name] for _, tag in page.tags for name in ("src", "href") if name in tag]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert set(re.findall(r"https?://[^\s\"]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, never loaded
    assert "alert(1)" not in [tag for tag, _ in page.tags] and text.count("<script>") == 1

    video, clips = tracks_of(folder)
    assert video == VIDEO and list(clips) == ["0001", ODD, "text", "broken"]
    titles = [panel["title"] for panel in clips["0001"]["panels"]]
    assert titles == ["Confidence", "Head rotation", "Head position", "Gaze", "Action units", "Fundamental frequency", "Energy"]
    assert clips["0001"]["without_face"] == [[1.5, 2.0]] and len(clips["0001"]["sheet"]) == 6
    assert [tile["success"] for tile in clips["0001"]["sheet"]] == [True] * 4 + [False] * 2
    nothing = {"seconds": None, "sheet": [], "without_face": [], "neutral_faces": [], "panels": []}
    assert clips["text"] == nothing == clips["broken"]
    assert {path.name for path in (folder / "videos" / VIDEO).iterdir()} == {
        "0001.webp", f"{ODD}.webp", "tracks.js", "summary.json"}  # fmt: skip


def test_twice_gives_the_same_bytes(corpus):
    first, second = make_page(corpus, "first"), make_page(corpus, "second")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 5
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_a_clip_that_was_not_summed_up_is_an_error(corpus):
    folder = make_page(corpus)
    manifest = pd.read_csv(corpus / "manifest.csv", dtype=str)
    more = pd.concat([manifest, manifest.iloc[:1].assign(clip_id="0009")])
    more.to_csv(corpus / "more.csv", index=False)
    with pytest.raises(ValueError, match=f"1 clips of .*first {VIDEO}/0009, are not in .*make both again"):
        read_clips_table(corpus / "more.csv", corpus / "quality.csv", folder / "videos")


def test_a_source_of_columns_alone_at_another_rate(corpus):
    """A table that another program wrote: 25 rows a second, columns in the pixels of the frame, no box."""
    found = seen_features(50, 50)
    columns = found["values"]
    columns[:, block_slice("x")], columns[:, block_slice("y")] = np.linspace(10, 30, 68), np.linspace(10, 40, 68)
    plain = ClipFeatures(columns, {name: found[name] for name in ("success", "confidence")})
    columns, box, transform = place_of(plain, 3)
    assert box == pytest.approx([10, 10, 30, 40]) and (transform == np.eye(2, 3)).all()

    path = corpus / "clips" / VIDEO / "0001.mp4"
    picture, tiles = contact_sheet(path, plain, 25.0)
    assert [tile["time"] for tile in tiles] == [0, 0.36, 0.72, 1.04, 1.36, 1.68]
    sheet = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    corners = sheet[5, 10 :: sheet.shape[1] // 6].mean(1)  # the grey of the frames that are 30 a second: 20 + 2 i
    assert corners == pytest.approx([20 + 2 * round(30 * tile["time"]) for tile in tiles], abs=3)


def test_a_clip_without_features_shows_plain_frames(corpus):
    nothing = ClipFeatures(np.zeros((0, len(COLUMNS))))
    picture, tiles = contact_sheet(corpus / "clips" / VIDEO / "0001.mp4", nothing, 0.0)
    assert picture and tiles == [{"time": time} for time in (0, 0.33, 0.67, 1, 1.33, 1.67)]
    assert contact_sheet(corpus / "clips" / VIDEO / "broken.mp4", nothing, 0.0) == (b"", [])


# --- in the browser ---


def shown_clips(text):
    """Names of the clips in the rows that are not hidden, from top to bottom."""
    rows = re.findall(r"<tr data-flags=[^>]*>.*?</tr>", text)
    return [Cells(row).rows[0][1] for row in rows if " hidden" not in row.split(">")[0]]


def test_the_browser_filters_sorts_and_opens(corpus, browse):
    folder = make_page(corpus)
    text = browse(folder, "flag=no_video&sort=clip", "--dump-dom")
    assert shown_clips(text) == ["broken", "text"] and "2 of 4 clips" in text
    assert '<th scope="col" class="clip" aria-sort="ascending">' in text
    text = browse(folder, "sort=success&descending=1", "--dump-dom")
    assert shown_clips(text) == ["0001", ODD, "text", "broken"] and "4 of 4 clips" in text  # what is unknown comes last
    assert shown_clips(browse(folder, "sort=success", "--dump-dom")) == [ODD, "0001", "text", "broken"]
    assert shown_clips(browse(folder, "search=a%3Cb%3E%26", "--dump-dom")) == [ODD]
    by_name = browse(folder, "search=" + quote(f"{VIDEO}/0", safe=""), "--dump-dom")
    assert shown_clips(by_name) == ["0001"]  # as messages call it: video/clip


def test_the_browser_opens_a_clip(corpus, browse):
    folder = make_page(corpus)
    text = browse(folder, "clip=" + quote(f"{VIDEO}/0001", safe=""), "--dump-dom")
    details = text[text.index('<tr class="details">') :]
    details = details[: details.index("</tr>")]
    titles = re.findall(r'<svg[^>]*aria-label="([^"]*)"', details)
    assert titles == [panel["title"] for panel in tracks_of(folder)[1]["0001"]["panels"]]
    assert "NaN" not in details and "undefined" not in details and details.count("<path d=") >= 9
    assert f"<blockquote>{escape(TEXT, quote=False)}</blockquote>" in details
    assert "no face" in details and "confidence 0.90" in details
    assert f'src="videos/{quote(VIDEO)}/0001.webp"' in details
    assert "person 1" in details and "1234 frames" in details and "it shows AU01 1.3." in details and "person 0" not in details

    text = browse(folder, "clip=" + quote(f"{VIDEO}/text", safe=""), "--dump-dom")
    assert "Nothing was measured on this clip" in text and "This clip has no picture" in text


def test_the_reader_clicks_and_points(corpus, browse):
    folder = make_page(corpus)
    clicks = """<script>
    for (const wanted of ['[data-sort="success"]', '[data-sort="success"]', '[data-flag="none"]', '#clips a'])
      document.querySelector(wanted).click();
    setTimeout(() => {
      const panels = document.querySelectorAll("svg"), box = panels[0].getBoundingClientRect();
      panels[0].dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + box.width / 2, clientY: box.top + 9 }));
    }, 2000);
    </script>"""
    with (folder / "index.html").open("a", encoding="utf-8") as file:
        file.write(clicks)
    text = browse(folder, "", "--dump-dom")
    assert shown_clips(text) == ["0001"] and '"descending"><button type="button" data-sort="success">' in text
    # One second after the start, where the face is seen and nothing is voiced any more.
    for label in ("confidence <output>0.9</output>", "F0 <output>–</output>", "energy <output>-9</output>"):
        assert label in text


def test_the_browser_says_what_is_missing(corpus, browse):
    folder = make_page(corpus)
    (folder / "videos" / VIDEO / "tracks.js").unlink()
    text = browse(folder, "clip=" + quote(f"{VIDEO}/0001", safe=""), "--dump-dom")
    assert "tracks.js is missing beside this page; make the page again" in text


def test_the_browser_shows_the_contact_sheet(corpus, browse):
    """The picture of an opened clip is on the screen: green points and a yellow box."""
    folder = make_page(corpus)
    address = "clip=" + quote(f"{VIDEO}/0001", safe="")
    browse(folder, address, f"--screenshot={corpus / 'page.png'}", "--window-size=1400,1200")
    picture = cv2.cvtColor(cv2.imread(str(corpus / "page.png")), cv2.COLOR_BGR2RGB).astype(int)
    assert picture.shape == (1200, 1400, 3)
    for colour in (POINT, BOX):
        assert (np.abs(picture - colour).max(2) < 60).sum() > 50

"""What a raw video file holds, found by reading it: its tracks, and the time stamps of all their packets.

Containers promise much: a duration, a first time stamp, an index. MPEG-TS, FLV and files written to a pipe keep little of
it, so nothing here rests on a promise but the question whether the file breaks off before its end.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.format import Flags
from av.stream import Disposition

# A file called .mp4 may be a list that names other files or machines: none of them is ever opened.
LISTS = {"hls", "concat", "dash", "imf", "sdp", "rtsp", "rtp", "sap", "vobsub", "image2", "lavfi", "avisynth", "vapoursynth"}
LOCAL_ONLY = {"protocol_whitelist": "file", "format_whitelist": ",".join(sorted(av.formats_available - LISTS))}
# Time stamps of one recording go on; these steps (s) mean that several were joined.
LARGEST_STEP_BACK = 1.0
LARGEST_STEP_AHEAD = 60.0
# s by which sound begins before the picture where that is the lead-in of its codec, which most containers do not tell
LARGEST_LEAD_IN = 0.1
# samples of lead-in that encoders of sound make, where no time tells of them
LEAD_INS = {"aac": 1024, "mp3": 1105, "mp3float": 1105}


@dataclass
class Track:
    """The picture or the sound of a file; times are seconds of the file's own clock.

    index : of the stream. first, last : when it begins and ends. times : of each packet, in the order of the file; NaN where
    it is not shown. keys : numbers of the packets that can be decoded without another. rate : pictures or samples per second.
    counted : whether the file has no times, so that its pictures or samples are counted. ordered : whether it has the times
    of decoding alone; a picture is shown `delay` (s) before it comes out of the decoder. steps : where the time stamps jump.
    pixel_ratio : width of a pixel by its height. order : time at which the last packet that was read is to be decoded.
    """

    index: int
    rate: float
    pixel_ratio: float = 1.0
    times: list[float] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    first: float = float("inf")
    last: float = float("-inf")
    counted: bool = False
    ordered: bool = False
    delay: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    order: float | None = None

    def entry(self, time: float) -> int:
        """Number of the packet from which decoding is safe for what is shown at `time`."""
        if self.counted:
            return 0
        earlier = [number for number in self.keys if self.times[number] <= time]
        return max(earlier, default=0)


@dataclass
class Source:
    """A raw video file; `error` is empty if it can be read.

    start : time (s) of the file's own clock at which it begins, second 0 of the manifest: the first picture or, if that begins
    earlier by more than the lead-in of a codec, the first sound. duration : s, to the end of the last
    picture or sound. promised : s, what the container says. sound_tracks : how many there are.
    """

    start: float = 0.0
    duration: float = 0.0
    promised: float = 0.0
    picture: Track | None = None
    sound: Track | None = None
    sound_tracks: int = 0
    error: str = ""

    @property
    def breaks_off(self) -> bool:
        """Whether the file ends before the end that its container promises."""
        # Matroska counts from second 0 of its clock, the others from their first time stamp.
        return max(self.duration, self.start + self.duration) < self.promised - max(0.1, 0.01 * self.promised)


def open_file(path: str | Path) -> av.container.InputContainer:
    """Open a local media file for reading; raises av.FFmpegError."""
    return av.open(f"file:{path}", options=dict(LOCAL_ONLY), metadata_errors="replace")


def probe(path: str | Path, sound_track: int | None = None) -> Source:
    """Read all packets of a file without decoding them.

    Parameters
    ----------
    path : str or Path
        The file.
    sound_track : int or None
        Which of several sound tracks, counted from 1; None for the one that is marked as default, else the first.
    """
    try:
        with open_file(path) as container:
            return _read(container, sound_track)
    except av.ArgumentError:
        return Source(error="it is no video, or a playlist")
    except (av.FFmpegError, OSError, ValueError) as error:
        return Source(error=getattr(error, "strerror", None) or str(error))


def _read(container: av.container.InputContainer, sound_track: int | None) -> Source:
    # A still picture inside a film or a sound file (its cover) is no video.
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    sounds = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not pictures and not sounds:
        return Source(error="neither a video nor an audio stream")
    source = Source(sound_tracks=len(sounds))
    tracks = {}
    if pictures:
        stream = _default(pictures)
        rate = float(stream.guessed_rate or stream.average_rate or 25)
        source.picture = tracks[stream.index] = Track(stream.index, rate, float(stream.sample_aspect_ratio or 1))
    if sounds:
        if sound_track is not None and not 1 <= sound_track <= len(sounds):
            return Source(error=f"it has {len(sounds)} sound track(s), not {sound_track}")
        stream = _default(sounds) if sound_track is None else sounds[sound_track - 1]
        source.sound = tracks[stream.index] = Track(stream.index, float(stream.codec_context.sample_rate or 1))
    if container.format.name == "avi":
        # It has no times but the order of its packets, and of sound in packets of uneven size not even that.
        for kind, track in (("ordered", source.picture), ("counted", source.sound)):
            if track:
                setattr(track, kind, True)
    is_delay_known = False
    try:
        for packet in container.demux([container.streams[index] for index in tracks]):
            track = tracks[packet.stream.index]
            if track.ordered:
                packet.pts = None  # made up by the demuxer
            _note(track, packet)
            if track.ordered and not is_delay_known and _comes_out(packet):
                track.delay, is_delay_known = (len(track.times) - 1) / track.rate, True
    except av.FFmpegError:
        pass  # what was read until here is there
    if source.sound and source.sound.counted:
        lead_in = LEAD_INS.get(container.streams[source.sound.index].codec_context.name, 0) / source.sound.rate
        source.sound.first, source.sound.last = source.sound.first - lead_in, source.sound.last - lead_in
    if container.format.flags & Flags.no_timestamps.value and source.picture:
        # A raw stream: the times are the demuxer's guess, the rate that its header tells is better.
        track = source.picture
        track.rate = float(container.streams[track.index].codec_context.framerate or track.rate)
        track.counted, track.first, track.last = True, 0.0, len(track.times) / track.rate
    if source.picture and not math.isfinite(source.picture.last):  # no packet, or none with a time
        source.picture = None
    if source.sound and not math.isfinite(source.sound.last):
        source.sound = None
    found = [track for track in (source.picture, source.sound) if track]
    if not found:
        return Source(error="it holds no picture and no sound")
    source.start = min(track.first for track in found)
    if source.picture and 0 < source.picture.first - source.start <= LARGEST_LEAD_IN:
        source.start = source.picture.first
    source.duration = max(track.last for track in found) - source.start
    source.promised = (container.duration or 0) / av.time_base
    return source


def _comes_out(packet: av.Packet) -> bool:
    """Whether a picture comes out of the decoder with this packet."""
    try:
        return bool(packet.decode())
    except av.FFmpegError:
        return False


def _default(streams: list) -> av.stream.Stream:
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def _note(track: Track, packet: av.Packet) -> None:
    if packet.dts is None and packet.pts is None and packet.size == 0:
        return  # the end
    stamp = packet.dts if packet.pts is None else packet.pts
    time = float("nan") if stamp is None else float(stamp * packet.time_base)
    if track.counted and track.times:
        time = track.last
    if packet.is_keyframe:
        track.keys.append(len(track.times))
    track.times.append(time if not packet.is_discard else float("nan"))
    if stamp is None or packet.is_discard:
        return
    track.first = min(track.first, time)
    duration = 1 / track.rate if track.ordered else float((packet.duration or 0) * packet.time_base)
    track.last = max(track.last, time + duration)
    if packet.dts is None:
        return
    # Times of decoding rise even where pictures are stored before those that they are shown after.
    order = float(packet.dts * packet.time_base)
    if track.order is not None and not -LARGEST_STEP_BACK < order - track.order < LARGEST_STEP_AHEAD:
        track.steps.append((track.order, order))
    track.order = order

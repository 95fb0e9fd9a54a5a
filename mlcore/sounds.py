"""One look at a sound file: is it usable, what can be heard, what is odd about it.

The file is decoded once to 32-bit floats; levels are decibels relative to full scale (dBFS)
about the mean of each 20 ms frame (which leaves DC offset and drift out), over all channels
together, so that channels of opposite sign do not cancel. A quiet clip with a wide range
between its loud and its quiet frames is soft speech, not silence, and a clip of any level
with a narrow range is steady noise (5,188 Speech Commands clips looked at).
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from mlcore.files import (
    MIME,
    MOST_BYTES,
    SOUND_TYPES,
    Fact,
    Measured,
    Oddity,
    UnusableFile,
    name_oddity,
    real_type,
    sha256_of,
)
from mlcore.levels import level_facts
from mlcore.riff import WavHeader, closed_wav, pcm16_wav, read_wav_header

#: Samples (frames x channels) that are decoded at most: 256 MB, 25 minutes of mono 44.1 kHz.
MOST_SAMPLES = 64_000_000

#: Samples of clips of one length that are measured together; their arrays take 25 MB.
SAMPLES_TOGETHER = 2**20

#: Lengths of which clips wait for company at most, so that memory stays small.
MOST_SHAPES = 64

#: Pairs of least and greatest sample that a preview holds.
PEAK_PAIRS = 400

#: Peaks below this are drawn as they are, not stretched: -100 dBFS, below one 16-bit step.
LEAST_PEAK = 1e-5

#: What stands for zero in a preview: 128, and a half for rounding; 127 stands for the peak.
ZERO = np.float32(128.5)

#: Shorter clips hold no word, in seconds; also the least that has a level.
TINY_SECONDS = 0.02

#: Seconds of sound that may be missing at the end before a file counts as truncated.
MISSING_SECONDS = 0.02

#: Peaks above this, in full scales, are not sound that was recorded with normal scaling.
OVER_FULL_SCALE = 1.5

#: Subtypes of WAV, and rates in Hz, that every browser plays.
PLAYED_SUBTYPES = frozenset({"PCM_16", "PCM_U8"})
PLAYED_RATES = range(8_000, 96_001)
PLAYED_TYPES = frozenset({"wav", "flac", "ogg", "mp3"})
PLAIN_CHANNELS = frozenset({1, 2})


@dataclass(frozen=True)
class Clip:
    """Decoded sound: `values` of shape (frames, channels), 16-bit steps or float32 as read."""

    values: np.ndarray
    rate: int
    subtype: str
    promised: int
    not_finite: int

    @property
    def samples(self) -> np.ndarray:
        """The values as float32; 1.0 is full scale."""
        return _scaled(self.values)


def _scaled(values: np.ndarray) -> np.ndarray:
    return values * np.float32(1 / 32_768) if values.dtype.kind == "i" else values


@dataclass(frozen=True)
class _Opened:
    """A file that could be decoded; `missing` seconds of what it promises are not there."""

    content: bytes
    name: str
    kind: str
    header: WavHeader | None
    clip: Clip
    missing: float


def measure_sound(content: bytes, name: str, *, most_bytes: int = MOST_BYTES) -> Measured:
    """Decode a sound once and measure it.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        Its path; only the ending matters, for the oddity `wrong_extension`.
    most_bytes : int
        Larger files are refused.

    Returns
    -------
    Measured
        Facts: sample_rate (Hz), channels, subtype, seconds, samples (a channel),
        not_finite (samples), and those of `mlcore.levels.level_facts`.
        Oddities: wrong_extension, truncated_tail, open_ended_header, not_finite,
        over_full_scale, many_channels, mono_of_many, blank, tiny.
        `pixel_hash` is over the samples with rate and channels: equal for a WAV and the FLAC
        made of it.

    Raises
    ------
    UnusableFile
        zero_bytes, too_large, truncated, unreadable, unsupported, not_media.
    """
    (found,) = measure_sounds([(content, name)], most_bytes=most_bytes)
    if isinstance(found, UnusableFile):
        raise found
    return found


def measure_sounds(
    files: Iterable[tuple[bytes, str]], *, most_bytes: int = MOST_BYTES
) -> list[Measured | UnusableFile]:
    """Measure sounds, those of one length together, which takes half the time of one by one.

    Parameters
    ----------
    files : iterable of (bytes, str)
        Contents and names as for `measure_sound`.
    most_bytes : int
        Larger files are refused.

    Returns
    -------
    list of Measured or UnusableFile
        In the order of the files; each as `measure_sound` returns or raises it.
    """
    _keep_freed_memory()
    found: dict[int, Measured | UnusableFile] = {}
    waiting: dict[tuple[str | int, ...], dict[int, _Opened]] = {}
    for place, (content, name) in enumerate(files):
        try:
            opened = _open(content, name, most_bytes)
        except UnusableFile as error:
            found[place] = error
            continue
        values = opened.clip.values
        shape = (values.dtype.kind, opened.clip.rate, *values.shape)
        alike = waiting.setdefault(shape, {})
        alike[place] = opened
        if len(alike) * values.size >= SAMPLES_TOGETHER:
            found.update(_measure_alike(waiting.pop(shape)))
        elif len(waiting) >= MOST_SHAPES:
            found.update(_measure_alike(waiting.pop(next(iter(waiting)))))
    for alike in waiting.values():
        found.update(_measure_alike(alike))
    return [found[place] for place in range(len(found))]


@cache
def _keep_freed_memory() -> None:
    """Let a process keep up to 64 MB that it freed, which saves a third of the time.

    Else glibc hands the arrays of each few clips back and the kernel clears them anew. Once a
    block of this size was freed, its limits have grown (mallopt(3), M_MMAP_THRESHOLD); others
    ignore it. The block is never touched, so it takes no memory.
    """
    np.empty(31 * 2**20, np.uint8)


def _open(content: bytes, name: str, most_bytes: int) -> _Opened:
    kind = real_type(content, wanted=SOUND_TYPES, noun="sound", most_bytes=most_bytes)
    header = read_wav_header(content) if kind == "wav" else None
    clip = _read_clip(content, kind, header)
    missing = _missing_seconds(clip, header)
    if missing > MISSING_SECONDS:
        there = len(clip.values) / clip.rate
        raise UnusableFile(
            "truncated",
            f"The header promises {there + missing:.2f} s of sound, but the file breaks off "
            f"after {there:.2f} s ({len(content):,} bytes).",
        )
    return _Opened(content, name, kind, header, clip, missing)


def _measure_alike(opened: dict[int, _Opened]) -> dict[int, Measured]:
    """Measure clips of one length, rate and number of channels."""
    stacked = np.stack([one.clip.values for one in opened.values()])
    levels = level_facts(_scaled(stacked), next(iter(opened.values())).clip.rate)
    previews = peaks(stacked)
    return {
        place: _measured(one, facts, preview)
        for (place, one), facts, preview in zip(opened.items(), levels, previews, strict=True)
    }


def _measured(opened: _Opened, levels: dict[str, Fact], preview: bytes) -> Measured:
    clip, kind, peak = opened.clip, opened.kind, levels["peak"]
    assert isinstance(peak, float)
    facts: dict[str, Fact] = {
        "sample_rate": clip.rate,
        "channels": clip.values.shape[1],
        "subtype": clip.subtype,
        "seconds": round(len(clip.values) / clip.rate, 4),
        "samples": len(clip.values),
        "not_finite": clip.not_finite,
        **levels,
    }
    by_name, by_file = name_oddity(opened.name, kind), _file_oddities(opened)
    display = _display(kind, clip, opened.header)
    return Measured(
        sha256=sha256_of(opened.content),
        size=len(opened.content),
        type=kind,
        mime=MIME[kind],
        facts=facts,
        oddities=by_name + by_file + _sound_oddities(clip, peak),
        pixel_hash=_sample_hash(clip),
        phash=None,
        mirror_phash=None,
        flat=False,
        preview=preview,
        preview_mime="application/octet-stream",
        display=display,
        display_mime=MIME["wav"] if display else "",
    )


def decode_sound(content: bytes, *, most_bytes: int = MOST_BYTES) -> Clip:
    """Decode a sound as `measure_sound` reads it; raises UnusableFile."""
    kind = real_type(content, wanted=SOUND_TYPES, noun="sound", most_bytes=most_bytes)
    return _read_clip(content, kind, read_wav_header(content) if kind == "wav" else None)


def _read_clip(content: bytes, kind: str, header: WavHeader | None) -> Clip:
    if header is not None and header.open_ended:
        return _decode(closed_wav(content, header), kind)
    return (header and _plain_clip(content, header)) or _decode(content, kind)


def _plain_clip(content: bytes, header: WavHeader) -> Clip | None:
    """Read what nearly every WAV holds, 16-bit samples, several times faster than the library.

    Anything unusual is left to the library, and what is wrong to its words.
    """
    values = header.present // 2
    frames = values // max(1, header.channels)
    usual = header.channels in PLAIN_CHANNELS and header.rate in PLAYED_RATES
    if not (header.is_pcm16 and usual and frames > 0 and values <= MOST_SAMPLES):
        return None
    steps = np.frombuffer(content, "<i2", frames * header.channels, header.start)
    return Clip(steps.reshape(frames, header.channels), header.rate, "PCM_16", frames, 0)


def _decode(content: bytes, kind: str) -> Clip:
    import soundfile  # loads libsndfile; whoever only measures images need not

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            promised, rate = sound.frames, sound.samplerate
            if promised * sound.channels > MOST_SAMPLES:
                raise UnusableFile(
                    "too_large",
                    f"The sound lasts {promised / rate:,.0f} s in {sound.channels} channels; at "
                    f"most {MOST_SAMPLES:,} samples are read. Cut it into clips first.",
                )
            samples = sound.read(dtype="float32", always_2d=True)
            subtype = sound.subtype
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise UnusableFile("unreadable", f"The {kind.upper()} is damaged ({error}).") from error
    if not len(samples):
        raise UnusableFile("truncated", f"The {kind.upper()} has a header but no sound.")
    finite = np.isfinite(samples)
    bad = int(samples.size - np.count_nonzero(finite))
    if bad == samples.size:
        raise UnusableFile("unreadable", "No sample of the sound is a number.")
    if bad:
        samples = np.where(finite, samples, np.float32(0))
    return Clip(samples, rate, subtype, promised, bad)


def _missing_seconds(clip: Clip, header: WavHeader | None) -> float:
    """Return how much of the promised sound is not there; WAV's own header is asked first.

    libsndfile trims what a WAV header promises to what is there, so it cannot tell.
    """
    if header is not None:
        missing = 0.0 if header.open_ended else max(0, header.claimed - header.present)
        return missing / max(1, header.bytes_a_second)
    return max(0, clip.promised - len(clip.values)) / clip.rate


def _file_oddities(opened: _Opened) -> tuple[Oddity, ...]:
    found = []
    if opened.missing > 0:
        reason = f"The last {1000 * opened.missing:.1f} ms that the header promises are missing."
        found.append(Oddity("truncated_tail", reason))
    if opened.header is not None and opened.header.open_ended:
        reason = "The header gives no length (a recording that was never closed)."
        found.append(Oddity("open_ended_header", reason))
    if opened.kind == "ogg" and not _ogg_is_closed(opened.content):
        found.append(Oddity("truncated_tail", "The last Ogg page is not marked as the end."))
    return tuple(found)


def _ogg_is_closed(content: bytes) -> bool:
    """Say whether the last page carries the end-of-stream mark (RFC 3533, byte 5, bit 2)."""
    last = content.rfind(b"OggS")
    return last + 5 < len(content) and bool(content[last + 5] & 4)


def _sound_oddities(clip: Clip, peak: float) -> tuple[Oddity, ...]:
    found = []
    values, channels = clip.values, clip.values.shape[1]
    seconds = len(values) / clip.rate
    if clip.not_finite:
        reason = f"{clip.not_finite:,} samples are not numbers; they were taken as silence."
        found.append(Oddity("not_finite", reason))
    if peak > OVER_FULL_SCALE:
        reason = f"Samples reach {peak:,.1f} times full scale: the file is scaled wrongly."
        found.append(Oddity("over_full_scale", reason))
    if channels > 2:
        found.append(Oddity("many_channels", f"{channels} channels; played mixed into one."))
    if channels > 1:
        loud = int(np.count_nonzero(values.any(axis=0)))
        if loud < channels:
            reason = f"Only {loud} of {channels} channels have any sound."
            found.append(Oddity("mono_of_many", reason))
    if values[0, 0] == values[-1, -1] and values.min() == values.max():
        found.append(Oddity("blank", "Every sample is the same: digital silence."))
    if seconds < TINY_SECONDS:
        found.append(Oddity("tiny", f"Only {1000 * seconds:.1f} ms long."))
    return tuple(found)


def _sample_hash(clip: Clip) -> str:
    """Hash samples as 16-bit steps where they are such, else as 32-bit floats."""
    digest = hashlib.sha256(f"{clip.rate} {clip.values.shape[1]}\n".encode())
    is_steps = clip.values.dtype.kind == "i"
    steps = clip.values.data.cast("B") if is_steps else sixteen_bit_steps(clip.values)
    digest.update(steps or _floats(clip.values))
    return digest.hexdigest()


def sixteen_bit_steps(samples: np.ndarray) -> bytes | None:
    """Return samples of shape (n_frames, n_channels) as 16-bit numbers; None if they are finer."""
    scaled = samples * np.float32(32_768)
    if scaled.min() < -32_768 or scaled.max() > 32_767:
        return None
    steps = scaled.astype("<i2")
    return steps.tobytes() if np.array_equal(steps, scaled) else None


def _floats(samples: np.ndarray) -> bytes:
    # Adding zero turns -0.0, which some decoders write, into 0.0.
    return (samples + np.float32(0)).astype("<f4", order="C").tobytes()


def peaks(clips: np.ndarray) -> list[bytes]:
    """Return waveforms as pairs of uint8, least and greatest of each stretch.

    Parameters
    ----------
    clips : float32 or int16 ndarray of shape (n_clips, n_frames, n_channels)

    Returns
    -------
    list of bytes
        At most `PEAK_PAIRS` pairs each: least, greatest, least, greatest ... Value v stands for
        (v - 128) / 127 of the clip's own peak (fact `peak`), so soft clips stay visible and
        a page can draw either scale; 128 is zero.

    Examples
    --------
    >>> [list(one) for one in peaks(np.array([[[0.0], [0.5], [-0.5], [0.25]]]))]
    [[128, 128, 255, 255, 1, 1, 192, 192]]
    """
    mono = _scaled(clips).mean(axis=2) if clips.shape[2] > 1 else clips[..., 0]
    samples = mono.shape[1]
    pairs = min(PEAK_PAIRS, samples)
    if samples % pairs == 0:  # three times as fast as by starts
        stretches = np.ascontiguousarray(mono.reshape(len(mono), pairs, -1).transpose(0, 2, 1))
        low, high = _scaled(stretches.min(axis=1)), _scaled(stretches.max(axis=1))
    else:
        starts = np.arange(pairs) * samples // pairs
        low = _scaled(np.minimum.reduceat(mono, starts, axis=1))
        high = _scaled(np.maximum.reduceat(mono, starts, axis=1))
    if clips.shape[2] > 1:
        # Not the greatest of np.abs: in 16 bits -32,768 has no positive counterpart.
        peak = np.maximum(_scaled(clips.max(axis=(1, 2))), -_scaled(clips.min(axis=(1, 2))))
    else:
        peak = np.maximum(high.max(axis=1), -low.min(axis=1))
    stretch = (127 / np.maximum(peak, np.float32(LEAST_PEAK)))[:, None]
    drawn = np.empty((len(clips), pairs, 2), np.uint8)
    drawn[..., 0], drawn[..., 1] = low * stretch + ZERO, high * stretch + ZERO
    return [one.tobytes() for one in drawn]


def _display(kind: str, clip: Clip, header: WavHeader | None) -> bytes | None:
    """Return a 16-bit WAV where browsers would not play the original; None where they do."""
    channels = clip.values.shape[1]
    plain = kind != "wav" or (
        clip.subtype in PLAYED_SUBTYPES and header is not None and not header.open_ended
    )
    if kind in PLAYED_TYPES and plain and channels <= 2 and clip.rate in PLAYED_RATES:
        return None
    samples = clip.samples if channels <= 2 else clip.samples.mean(axis=1, keepdims=True)
    loudest = float(np.abs(samples).max())
    return pcm16_wav(samples / loudest if loudest > 1 else samples, clip.rate)

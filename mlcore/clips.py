"""Sound files decoded to samples, and the hash by which equal samples are known."""

import io
from typing import NamedTuple

import numpy as np

from mlcore.files import MOST_BYTES, SOUND_TYPES, UnusableFile, hash_samples, real_type
from mlcore.riff import WavHeader, closed_wav, read_wav_header
from mlcore.waveforms import scaled

#: Samples (frames x channels) that are decoded at most: 256 MB, 25 minutes of mono 44.1 kHz.
MOST_SAMPLES = 64_000_000

#: Samples beyond this are taken for damage, as NaN is: unscaled numbers of 32 bits reach 2e9, and
#: the powers of what is much larger overflow.
LARGEST = np.float32(1e12)

#: More samples a second than any recorder takes: the header is damaged.
HIGHEST_RATE = 10_000_000

#: Rates in Hz that every browser plays, and channels that need no mixing.
PLAYED_RATES = range(8_000, 96_001)
PLAIN_CHANNELS = frozenset({1, 2})


class Clip(NamedTuple):
    """Decoded sound: `values` of shape (frames, channels), 16-bit steps or float32 as read.

    `not_finite` samples were no numbers or beyond `LARGEST`, and are 0 here.
    """

    values: np.ndarray
    rate: int
    subtype: str
    promised: int
    not_finite: int

    @property
    def samples(self) -> np.ndarray:
        """The values as float32; 1.0 is full scale."""
        return scaled(self.values)


def decode_sound(content: bytes, *, most_bytes: int = MOST_BYTES) -> Clip:
    """Decode a sound as `measure_sound` reads it; raises UnusableFile."""
    kind = real_type(content, wanted=SOUND_TYPES, noun="sound", most_bytes=most_bytes)
    return read_clip(content, kind, read_wav_header(content) if kind == "wav" else None)


def read_clip(content: bytes, kind: str, header: WavHeader | None) -> Clip:
    """Decode a file of a known type, a WAV by its header; raises UnusableFile."""
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
            if rate > HIGHEST_RATE:
                raise UnusableFile("unreadable", f"Its header tells {rate:,} samples a second.")
            samples = sound.read(dtype="float32", always_2d=True)
            subtype = sound.subtype
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise UnusableFile("unreadable", f"The {kind.upper()} is damaged ({error}).") from error
    if not len(samples):
        raise UnusableFile("truncated", f"The {kind.upper()} has a header but no sound.")
    usable = (samples >= -LARGEST) & (samples <= LARGEST)
    bad = int(samples.size - np.count_nonzero(usable))
    if bad == samples.size:
        raise UnusableFile("unreadable", "No sample of the sound is a number below 1e12.")
    if bad:
        samples = np.where(usable, samples, np.float32(0))
    return Clip(samples, rate, subtype, promised, bad)


def sample_hash(clip: Clip) -> str:
    """Return the hash of a clip's samples: 16-bit steps, finer ones as 32-bit floats."""
    shape = f"{clip.rate} {clip.values.shape[1]}"
    if clip.values.dtype.kind == "i":
        return hash_samples(shape, clip.values.data.cast("B"))
    steps = sixteen_bit_steps(clip.values)
    if steps is None:
        return hash_samples(f"{shape} float", _floats(clip.values))
    return hash_samples(shape, steps)


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

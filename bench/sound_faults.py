"""Faults to plant in a sound: what it is called when found, how it is done, how it is saved.

`FAULTS` were in view while the checks were made; `MORE` were written afterwards, for nobody to
have tuned anything to them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import soundfile
from scipy.signal import lfilter, resample_poly

SOUND_WITHIN_DB = 30.0  # of the loudest 20 ms: where a word is, for noise put in its place
TALKERS = 6  # who speak at once in a babble
Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Plant:
    """One fault: the kind of flag it should get, the change, and the format it is saved in."""

    kind: str
    change: Change
    format: str = "WAV"
    subtype: str = "PCM_16"

    def __call__(self, clip: bytes, rng: np.random.Generator) -> bytes:
        """Return the clip with the fault."""
        wave, rate = played(clip)
        out = io.BytesIO()
        soundfile.write(out, self.change(wave, rate, rng), rate,
                        format=self.format, subtype=self.subtype)  # fmt: skip
        return out.getvalue()


def played(clip: bytes) -> tuple[np.ndarray, int]:
    """Return the first channel and its rate."""
    wave, rate = soundfile.read(io.BytesIO(clip), dtype="float64", always_2d=True)
    return wave[:, 0], rate


def _silence(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(wave)


def _soft(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    return wave * 10 ** (-60 / 20)


def _peak_at(peak_db: float) -> Change:
    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        return wave / np.abs(wave).max() * 10 ** (peak_db / 20)

    return plant


def _dither(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Triangular dither of one step of 16 bits on nothing."""
    return np.rint(rng.uniform(-1, 1, (2, len(wave))).sum(axis=0)) / 32_768


def _hum(level_db: float) -> Change:
    """Return a fault that leaves mains hum of 50 Hz alone, so far from the clip's own level."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        tone = np.sin(2 * np.pi * (50 * np.arange(len(wave)) / rate + rng.random()))
        return _fitted(tone * np.sqrt(2) * wave.std() * 10 ** (level_db / 20))

    return plant


def _clipped(depth: float, *, driven: bool, offset: float = 0.0) -> Change:
    """Return a fault that cuts peaks at a share of the peak, at full scale where driven."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        top = depth * np.abs(wave).max()
        return np.clip(wave, -top, top) / (top if driven else 1) * (1 - offset) + offset

    return plant


def _one_sided(depth: float) -> Change:
    """Return a fault that cuts the tops of one side alone at a share of that side's own peak."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        side = rng.choice([1, -1])
        return side * np.minimum(side * wave, depth * (side * wave).max())

    return plant


def _saturated(depth: float) -> Change:
    """Return a fault that bends peaks as a valve does: tanh, of 1 / depth at the peak."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        return 0.99 * np.tanh(wave / np.abs(wave).max() / depth) / np.tanh(1 / depth)

    return plant


def _after(change: Change, *, gain: float = 1.0, rate_down: int = 1) -> Change:
    """Return a fault that is turned down, or saved at a lower rate and back, afterwards."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        changed = gain * change(wave, rate, rng)
        if rate_down == 1:
            return changed
        return _fitted(resample_poly(resample_poly(changed, 2, 3), 3, 2)[: len(wave)])

    return plant


def _cut(
    *,
    filled: bool,
    least: float = 0.1,
    most: float = 0.6,
    fade: float = 0.0,
    back: bool | None = None,
) -> Change:
    """Return a fault that takes a share of the energy off one end, fading in or out where asked."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        at_end = rng.random() < 0.5 if back is None else back
        sound = wave[::-1] if at_end else wave
        energy = np.cumsum((sound - sound.mean()) ** 2)
        lost = int(np.searchsorted(energy, rng.uniform(least, most) * energy[-1])) + 1
        kept = sound[lost:].copy()
        faded = min(round(fade * rate), len(kept))
        kept[:faded] *= np.linspace(0, 1, faded, endpoint=False)
        if filled:
            kept = np.concatenate([np.zeros(lost), kept] if rng.random() < 0.5 else
                                  [kept, np.zeros(lost)])  # fmt: skip
        return kept[::-1] if at_end else kept

    return plant


def _half_silent(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Nothing from the middle of the energy on."""
    energy = np.cumsum((wave - wave.mean()) ** 2)
    kept = int(np.searchsorted(energy, energy[-1] / 2))
    return np.concatenate([wave[:kept], np.zeros(len(wave) - kept)])


def _noise(n: int, rng: np.random.Generator, slope: float | None = None) -> np.ndarray:
    """White (0), pink (.5) or brown (1) noise of power 1; any of them where no slope is given."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    slope = rng.choice([0.0, 0.5, 1.0]) if slope is None else slope
    spectrum /= np.maximum(np.arange(len(spectrum)), 1 + n // 400) ** slope
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()


def _noise_instead(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise all over the clip, 0 to 10 dB above the word that it replaces."""
    return _fitted(_noise(len(wave), rng) * wave.std() * 10 ** (rng.uniform(0, 10) / 20))


def _noise_burst(
    wave: np.ndarray,
    rate: int,
    rng: np.random.Generator,
    *,
    slope: float | None = None,
    least_db: float = 0.0,
    most_db: float = 10.0,
) -> np.ndarray:
    """Noise where the word was, so far above it; the room before and after stays."""
    size = rate // 50
    power = wave[: len(wave) // size * size].reshape(-1, size).var(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-SOUND_WITHIN_DB / 10))
    word = slice(loud[0] * size + rng.integers(size), (loud[-1] + 1) * size - rng.integers(size))
    level = wave[word].std() * 10 ** (rng.uniform(least_db, most_db) / 20)
    noise = _noise(len(wave[word]), rng, slope) * level
    return _fitted(np.concatenate([wave[: word.start], noise, wave[word.stop :]]))


def _drowned(snr_db: float, slope: float | None = None) -> Change:
    """Return a fault that adds noise over the word at a signal-to-noise ratio."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        noise = _noise(len(wave), rng, slope)
        return _fitted(wave + noise * wave.std() * 10 ** (-snr_db / 20))

    return plant


def _babble(clips: Sequence[bytes], snr_db: float) -> Change:
    """Return a fault that adds other clips of the set, spoken at once."""

    def plant(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        talk = np.zeros(len(wave))
        for place in rng.choice(len(clips), TALKERS):
            other, _ = played(clips[place])
            talk += np.roll(np.resize(other / max(1e-9, other.std()), len(wave)),
                            rng.integers(len(wave)))  # fmt: skip
        return _fitted(wave + talk / max(1e-9, talk.std()) * wave.std() * 10 ** (-snr_db / 20))

    return plant


def _room(wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """White noise as a telephone lets it through, 0 dB, over the word."""
    noise = lfilter([1, -1], [1, -0.95], rng.normal(size=len(wave)))
    return _fitted(wave + noise / noise.std() * wave.std())


def _fitted(wave: np.ndarray) -> np.ndarray:
    """Turn down what would clip, so that one fault is planted, not two."""
    return wave / max(1.0, 1.02 * float(np.abs(wave).max()))


FAULTS: dict[str, Plant] = {
    "silence": Plant("silent_audio", _silence),
    "60 dB softer": Plant("silent_audio", _soft),
    **{
        f"clipped at {depth} of the peak, {'full scale' if driven else 'same level'}": Plant(
            "clipped_audio", _clipped(depth, driven=driven)
        )
        for driven in (True, False)
        for depth in (0.7, 0.5, 0.3, 0.1)
    },
    **{
        f"clipped on one side at {depth} of its peak": Plant("clipped_audio", _one_sided(depth))
        for depth in (0.7, 0.5, 0.3)
    },
    "cut, shorter": Plant("cut_audio", _cut(filled=False)),
    "cut, filled with zeros": Plant("cut_audio", _cut(filled=True)),
    "cut by just a tenth, filled with zeros": Plant("cut_audio", _cut(filled=True, most=0.1)),
    "noise instead of the clip": Plant("silent_audio", _noise_instead),
    "noise instead of the word": Plant("silent_audio", _noise_burst),
    **{
        f"word in noise, SNR {snr} dB": Plant("silent_audio", _drowned(snr)) for snr in (0, -5, -10)
    },
}


def more(clips: Sequence[bytes]) -> dict[str, Plant]:
    """Return faults that came after the checks, for the clips of a set."""
    return {
        **_more_silence(clips),
        **_more_clipping(),
        **_more_cuts(),
    }


def _more_silence(clips: Sequence[bytes]) -> dict[str, Plant]:
    silent = partial(Plant, "silent_audio")
    colours = {"white": 0.0, "pink": 0.5}
    return {
        "dither alone": silent(_dither),
        "peak at -60 dBFS": silent(_peak_at(-60)),
        "peak at -40 dBFS (soft speech: to be left alone)": silent(_peak_at(-40)),
        "hum alone": silent(_hum(0)),
        "hum alone, 20 dB softer": silent(_hum(-20)),
        "silence as MP3": silent(_silence, "MP3", "MPEG_LAYER_III"),
        **{
            f"{colour} noise {level} dB above the word, in its place": silent(
                partial(_noise_burst, slope=slope, least_db=level, most_db=level)
            )
            for colour, slope in colours.items()
            for level in (0, 5, 10)
        },
        **{
            f"word in {colour} noise, SNR {snr} dB": silent(_drowned(snr, slope))
            for colour, slope in colours.items()
            for snr in (0, -5, -10)
        },
        "word in high noise, SNR 0 dB": silent(_room),
        **{
            f"word in babble, SNR {snr} dB": silent(_babble(clips, snr)) for snr in (0, -5, -10)
        },
    }  # fmt: skip


def _more_clipping() -> dict[str, Plant]:
    clipped = partial(Plant, "clipped_audio")
    formats = {
        "MP3": ("MP3", "MPEG_LAYER_III"), "Ogg": ("OGG", "VORBIS"), "8 bits": ("WAV", "PCM_U8"),
        "mu-law": ("WAV", "ULAW"), "FLAC": ("FLAC", "PCM_16"), "24 bits": ("WAVEX", "PCM_24"),
        "floats": ("WAV", "FLOAT"),
    }  # fmt: skip
    return {
        "clipped at 0.9 of the peak, full scale": clipped(_clipped(0.9, driven=True)),
        "clipped at 0.9 of the peak, same level": clipped(_clipped(0.9, driven=False)),
        **{
            f"bent by tanh, {depth} of the peak": clipped(_saturated(depth))
            for depth in (0.9, 0.7, 0.5, 0.3)
        },
        **{
            f"clipped at {depth}, turned down by {6 * down} dB": clipped(
                _after(_clipped(depth, driven=True), gain=0.5**down)
            )
            for depth in (0.7, 0.5, 0.3)
            for down in (1, 3)
        },
        **{
            f"clipped at {depth}, full scale, {name}": clipped(_clipped(depth, driven=True), *how)
            for depth in (0.7, 0.3)
            for name, how in formats.items()
        },
        "clipped at 0.5, with an offset": clipped(_clipped(0.5, driven=True, offset=0.1)),
        "clipped at 0.5, other rate since": clipped(
            _after(_clipped(0.5, driven=True), gain=0.7, rate_down=2)
        ),
    }


def _more_cuts() -> dict[str, Plant]:
    cut = partial(Plant, "cut_audio")
    return {
        **{
            f"cut by {round(100 * share)} % at the {side}{how}": cut(
                _cut(filled=filled, least=share, most=share, fade=fade, back=side == "end")
            )
            for share in (0.1, 0.2, 0.4)
            for side in ("start", "end")
            for how, filled, fade in (
                ("", False, 0.0),
                (", zeros", True, 0.0),
                (", fade 5 ms", False, 0.005),
                (", fade 20 ms", False, 0.02),
            )
        },
        "nothing from the middle on": cut(_half_silent),
    }

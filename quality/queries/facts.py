"""What import measured of each item, as Browse filters, draws and sorts by it."""

from dataclasses import dataclass

from django.db.models import FloatField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from labeling.models import Media


@dataclass(frozen=True)
class Fact:
    """One measurement of a content that can be drawn as a histogram and filtered by."""

    name: str
    words: str
    unit: str = ""
    line: str = ""  # from where on a check asks about it; docs/detectors.md says why there


FACTS: dict[str, tuple[Fact, ...]] = {
    Media.IMAGE: (
        Fact("brightness", "Brightness"),
        Fact("width", "Width", "px"),
        Fact("height", "Height", "px"),
        Fact("contrast", "Contrast"),
        Fact("sharpness", "Sharpness", line="blurry: .05 × contrast² and below"),
        Fact("luma_low", "Dark end", line="over-light: 150 and above"),
        Fact("luma_high", "Light end", line="dark: 64 and below"),
        Fact("entropy", "Information", "bits", line="shows little: 3 and below"),
        Fact("even_share", "Even share", line="drawn: .8 and above"),
        Fact("frame_share", "Frame", line="framed: .1 and above"),
        Fact("colourfulness", "Colourfulness", line="without colours: below 1"),
    ),
    Media.AUDIO: (
        Fact("seconds", "Duration", "s"),
        Fact("loud_db", "Loudness", "dB"),
        Fact("noise_floor_db", "Noise floor", "dB"),
        Fact("peak", "Peak"),
        Fact("dc_offset", "DC offset"),
    ),
    Media.TEXT: (Fact("characters", "Characters"), Fact("words", "Words")),
}


def fact_value(name: str, *, prefix: str = "") -> Cast:
    """Return a fact of the content as a number the database can compare."""
    return Cast(KeyTextTransform(name, f"{prefix}content__facts"), FloatField())

"""Contents become vectors: in order, repeatable, and never by a network without weights."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mlcore.features import (
    Backbone,
    Stopped,
    choose_backbones,
    extract,
    known_backbones,
    maps_of,
)
from mlcore.features.pixels import decode_square
from mlcore.features.waves import read_wave
from mlcore.features.weights import MOBILENET_FILE
from mlcore.files import UnusableFile
from mlcore.images import small_grey
from mlcore.riff import read_wav_header
from tests.mlcore.test_images import SAMPLES as IMAGES
from tests.mlcore.test_odd_sounds import SAMPLES as SOUNDS
from tests.shared import shared_path


def picture(colour, *, size=(300, 200), kind="JPEG", **more):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **more)
    return file.getvalue()


def tone(hertz, *, rate=8000, seconds=0.5):
    file = io.BytesIO()
    moments = np.arange(int(rate * seconds)) / rate
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * hertz * moments), rate, format="WAV")
    return file.getvalue()


def backbone_without_weights(media, tmp_path):
    return choose_backbones(media, weights_folder=tmp_path, keras_cache=tmp_path)[0]


def rows_in_any_company(backbone, contents):
    alone = [extract(backbone, [content])[0] for content in contents]
    together = extract(backbone, contents, batch=3)
    assert together.shape == (len(contents), backbone.dimensions)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    return np.array_equal(np.stack(alone), together)


def test_without_weights_pictures_fall_back_and_the_note_says_how_to_do_better(tmp_path):
    (only,) = choose_backbones("image", weights_folder=None, keras_cache=tmp_path)
    assert only.name == "hog-colour-patches-v1"
    assert not only.pretrained
    assert "WINNOW_WEIGHTS" in only.note


def test_small_pictures_are_enlarged_at_most_fourfold_and_the_name_says_the_size(tmp_path):
    (tmp_path / MOBILENET_FILE).write_bytes(b"weights")
    chosen = {
        native: choose_backbones("image", weights_folder=tmp_path, native_side=native)
        for native in (8, 24, 28, 32, 40, 41, 400, None)
    }
    assert {len(found) for found in chosen.values()} == {1}
    sides = {native: found[0].side for native, found in chosen.items()}
    assert sides == {8: 96, 24: 96, 28: 128, 32: 128, 40: 160, 41: 224, 400: 224, None: 224}
    known = known_backbones("image", weights_folder=tmp_path)
    names = {backbone.name for backbone in known if not backbone.of}
    assert len(names) == 4
    assert {found[0].name for found in chosen.values()} == names
    assert {maps_of(found[0]) for found in chosen.values()} == set(known) - {
        found[0] for found in chosen.values()
    }  # what fine-tuning begins at is found by its name, and never chosen for vectors


def test_the_network_sees_small_pictures_in_their_own_size():
    (backbone,) = choose_backbones("image", weights_folder=shared_path("weights"), native_side=32)
    with zipfile.ZipFile(shared_path("data/cifar10/images.zip")) as packed:
        contents = [packed.read(name) for name in packed.namelist()[:40] if name.endswith(".jpg")]
    assert backbone.name == "mobilenetv2-0.35-128-d43c70f8-v1"
    assert rows_in_any_company(backbone, contents[:9])


def test_a_network_whose_weights_are_gone_is_refused(tmp_path):
    network = Backbone("mobilenetv2-0.35-224-00000000-v1", "", 1280, pretrained=True)
    with pytest.raises(ValueError, match="weight file"):
        extract(network, [picture("red")])


@pytest.mark.parametrize(
    ("media", "contents"),
    [
        ("image", [picture(c) for c in ("red", "blue", "white", "black")]),
        ("audio", [tone(hertz) for hertz in (220, 440, 880, 1760)]),
        ("text", [b"lost card", "carte perdue é".encode(), b"", b"\xff broken"]),
    ],
)
def test_a_row_does_not_depend_on_its_company(media, contents, tmp_path):
    assert rows_in_any_company(backbone_without_weights(media, tmp_path), contents)


def test_the_content_that_cannot_be_decoded_is_named(tmp_path):
    backbone = backbone_without_weights("image", tmp_path)
    with pytest.raises(ValueError, match="Content 3 cannot"):
        extract(backbone, [picture("red")] * 3 + [b"no picture"], batch=2)


def spoken(*, gain=1.0, before=0.2, after=0.2, rate=16_000):
    """A sound that changes: a falling tone, noise, a rising tone, with hiss around it."""
    rng = np.random.default_rng(3)
    moments = np.arange(int(0.15 * rate)) / rate
    falling = np.sin(2 * np.pi * (900 - 2000 * moments) * moments)
    rising = np.sin(2 * np.pi * (300 + 2000 * moments) * moments)
    sound = np.concatenate([falling, rng.normal(0, 0.3, len(moments)), rising])
    quiet = [rng.normal(0, 1e-3, int(seconds * rate)) for seconds in (before, after)]
    file = io.BytesIO()
    wave = gain * 0.3 * np.concatenate([quiet[0], sound, quiet[1]])
    soundfile.write(file, wave, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def test_words_are_alike_wherever_they_lie_in_the_clip_and_however_loud_they_are(tmp_path):
    backbone = backbone_without_weights("audio", tmp_path)
    here, late, soft, other = extract(
        backbone, [spoken(), spoken(before=0.7, after=0.05), spoken(gain=0.02), tone(440)]
    )
    unlike = np.linalg.norm(here - other)
    assert np.linalg.norm(here - late) < 0.15 * unlike
    assert np.linalg.norm(here - soft) < 0.01 * unlike


def test_a_silent_clip_has_a_vector(tmp_path):
    backbone = backbone_without_weights("audio", tmp_path)
    assert np.isfinite(extract(backbone, [tone(440, seconds=0.01), wav_of_zeros()])).all()


def wav_of_zeros():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4000), 8000, format="WAV")
    return file.getvalue()


def test_progress_is_told_and_stopping_works(tmp_path):
    backbone = backbone_without_weights("text", tmp_path)
    done = []
    extract(backbone, [b"a"] * 5, batch=2, progress=done.append)
    assert done == [2, 4, 5]
    with pytest.raises(Stopped):
        extract(backbone, [b"a"] * 5, should_stop=lambda: True)


def test_pictures_are_turned_upright_and_flattened_on_white():
    half = Image.new("RGB", (100, 100), "red")
    half.paste("blue", (0, 0, 100, 50))
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 3  # upside down
    half.save(file, "JPEG", exif=exif, quality=95)
    square = decode_square(file.getvalue(), 64)
    assert square[5, 32, 0] > 200
    assert square[60, 32, 2] > 200
    grey = np.frombuffer(small_grey(file.getvalue()), np.uint8).reshape(32, 32)
    whole = ImageOps.exif_transpose(Image.open(file)).convert("L").resize((32, 32), Image.BOX)
    assert np.abs(grey.astype(int) - np.asarray(whole)).max() <= 2
    clear = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(clear, "PNG")
    assert decode_square(clear.getvalue(), 64).min() == 255


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "I;16", "1", "LA"])
def test_pictures_of_every_mode_are_described(mode, tmp_path):
    file = io.BytesIO()
    Image.new(mode, (50, 30)).save(file, "TIFF" if mode in {"CMYK", "I;16"} else "PNG")
    backbone = backbone_without_weights("image", tmp_path)
    assert np.isfinite(extract(backbone, [file.getvalue()])).all()


def test_the_centre_is_cut_from_a_wide_picture():
    wide = Image.new("RGB", (600, 200), "red")
    wide.paste("green", (200, 0, 400, 200))
    file = io.BytesIO()
    wide.save(file, "PNG")
    assert decode_square(file.getvalue(), 64)[:, :, 0].max() == 0
    assert decode_square(file.getvalue(), 64, framing="whole")[:, :, 0].max() == 255


def test_a_tiny_and_a_silent_sound_are_described(tmp_path):
    backbone = backbone_without_weights("audio", tmp_path)
    rows = extract(backbone, [tone(440, seconds=0.005), tone(0)])
    assert np.isfinite(rows).all()


def test_a_tone_is_nearest_to_itself_at_another_rate(tmp_path):
    backbone = backbone_without_weights("audio", tmp_path)
    low, high, low_again = extract(backbone, [tone(300), tone(1500), tone(300, rate=16000)])
    assert np.linalg.norm(low - low_again) < np.linalg.norm(low - high)


def test_importing_features_loads_nothing_heavy():
    code = (
        "import sys, mlcore.features, mlcore.training, mlcore.folds, mlcore.intervals;"
        "print(sorted({'tensorflow', 'keras', 'librosa', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == "[]", printed.stderr


def test_the_real_network_is_found_and_sees_a_picture_alike_in_any_batch():
    folder = shared_path("weights")
    (backbone,) = choose_backbones("image", weights_folder=folder)
    assert backbone.name == "mobilenetv2-0.35-224-d43c70f8-v1"
    assert backbone.pretrained
    assert backbone.note == ""
    with zipfile.ZipFile(shared_path("data/clothing/images.zip")) as packed:
        names = [name for name in packed.namelist() if name.startswith("test/")][:11]
        contents = [packed.read(name) for name in names]
    assert rows_in_any_company(backbone, contents)


def test_the_network_answers_as_keras_does():
    folder = shared_path("weights")
    (backbone,) = choose_backbones("image", weights_folder=folder)
    with zipfile.ZipFile(shared_path("data/clothing/images.zip")) as packed:
        names = [name for name in packed.namelist() if name.startswith("test/")][:3]
        contents = [packed.read(name) for name in names]
    import keras

    network = keras.applications.MobileNetV2(
        alpha=0.35,
        include_top=False,
        weights=str(backbone.weights),
        input_shape=(224, 224, 3),
        pooling="avg",
    )
    squares = np.stack([decode_square(content, 224) for content in contents])
    expected = network(squares / np.float32(127.5) - 1, training=False).numpy()
    assert extract(backbone, contents) == pytest.approx(expected, abs=1e-3)


def test_yamnet_hears_real_words_alike_in_any_batch():
    mfcc, yamnet = choose_backbones("audio", weights_folder=shared_path("weights"))
    assert mfcc.note == ""
    assert yamnet.pretrained
    with zipfile.ZipFile(shared_path("data/fsdd/audio.zip")) as packed:
        contents = [packed.read(name) for name in packed.namelist() if name.endswith(".wav")][:5]
    assert rows_in_any_company(yamnet, contents)
    assert extract(yamnet, contents).std(axis=0).max() > 0


DECODERS = {
    "image": (IMAGES, lambda content: decode_square(content, 24)),
    "sound": (SOUNDS, read_wave),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("media", sorted(DECODERS))
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_contents_have_a_vector_or_are_refused(media: str, data: st.DataObject) -> None:
    samples, decode = DECODERS[media]
    content = bytearray(samples[data.draw(st.sampled_from(sorted(samples)))])
    for _ in range(data.draw(st.integers(0, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.none() | st.integers(0, len(content)))
    try:
        decoded = decode(bytes(content[:end]))
    except UnusableFile as refused:
        assert refused.reason  # noqa: PT017  (either outcome is right)
    else:
        assert np.isfinite(decoded).all()


def test_millions_of_empty_chunks_are_no_sound_soon() -> None:
    assert read_wav_header(b"RIFF" + bytes(20_000_000)) is None

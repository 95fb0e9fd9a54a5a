"""One look at an image: what is measured, what is odd, what is refused and why."""

import csv
import io
import struct
import zipfile
import zlib

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from mlcore.decoding import DISPLAY_SIDE, PREVIEW_SIDE
from mlcore.features.pixels import decode_square
from mlcore.files import Measured, UnusableFile
from mlcore.image_hashes import hashes_of
from mlcore.image_measures import light_facts, surface_facts
from mlcore.images import PICTURES_TOGETHER, measure_image, measure_images, small_grey
from mlcore.pixel_sums import COLOUR_SIDE, colour_grid
from tests.shared import shared_path


def scene(seed: int = 0, *, size: int = 200) -> Image.Image:
    """Return a picture with structure at several scales and a shape."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size, size, 3), 127.0)
    for cells, strength in ((4, 70), (12, 40)):
        noise = Image.fromarray(rng.integers(0, 255, (cells, cells, 3), dtype=np.uint8))
        grown = noise.resize((size, size), Image.Resampling.BICUBIC)
        pixels += (np.asarray(grown, float) - 127) / 127 * strength
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    x, y = (int(v) for v in rng.integers(0, size // 2, 2))
    ImageDraw.Draw(picture).ellipse((x, y, x + size // 3, y + size // 4), fill=(200, 30, 60))
    return picture


pillow_heif.register_heif_opener()


def saved(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def codes(measured: Measured) -> set[str]:
    return {oddity.code for oddity in measured.oddities}


def refusal(content: bytes, name: str = "x.jpg", **limits: int) -> UnusableFile:
    with pytest.raises(UnusableFile) as caught:
        measure_image(content, name, **limits)
    return caught.value


def distance(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(io.BytesIO(content))


def test_a_plain_photo_is_measured_without_oddities() -> None:
    content = saved(scene(size=256), quality=85)
    measured = measure_image(content, "a/photo.jpg")
    assert (measured.type, measured.mime, measured.size) == ("jpeg", "image/jpeg", len(content))
    assert measured.oddities == ()
    assert not measured.flat
    assert (measured.facts["width"], measured.facts["height"]) == (256, 256)
    assert measured.facts["jpeg_quality"] == 85
    assert measured.display is None


def test_a_small_browser_image_is_its_own_preview_and_a_large_one_gets_a_small_one() -> None:
    small = saved(scene(size=256))
    assert measure_image(small, "s.jpg").preview is small
    large = measure_image(saved(scene(size=700).resize((700, 350)), "PNG"), "l.png")
    assert opened(large.preview).size == (PREVIEW_SIDE, PREVIEW_SIDE // 2)
    assert large.preview_mime == "image/jpeg"


def test_light_and_colour_are_measured_in_their_units() -> None:
    black, white = (
        measure_image(saved(Image.new("RGB", (64, 64), c), "PNG"), "c.png")
        for c in ("black", "white")
    )
    assert (black.facts["brightness"], white.facts["brightness"]) == (0.0, 255.0)
    assert (black.facts["black_share"], white.facts["white_share"]) == (1.0, 1.0)
    half = Image.new("RGB", (64, 64))
    half.paste((255, 255, 255), (0, 0, 64, 32))
    facts = measure_image(saved(half, "PNG"), "h.png").facts
    assert facts["brightness"] == pytest.approx(127.5)
    assert facts["contrast"] == pytest.approx(127.5)
    assert facts["entropy"] == pytest.approx(1.0)
    grey = measure_image(saved(scene().convert("L"), "PNG"), "g.png").facts
    colour = measure_image(saved(scene(), "PNG"), "c.png").facts
    assert grey["colourfulness"] == 0.0
    assert colour["colourfulness"] > 10  # type: ignore[operator]


def test_pictures_measured_together_come_out_as_one_by_one() -> None:
    pictures = [scene(1, size=40), scene(2, size=96).convert("L"), Image.new("RGB", (5, 300))]
    good = [saved(picture, "PNG") for picture in pictures]
    files = [good[0], b"", good[1], good[2][:60], good[2]] + good * (PICTURES_TOGETHER // 3)
    together = measure_images((content, "x.png") for content in files)
    for content, found in zip(files, together, strict=True):
        if isinstance(found, UnusableFile):
            with pytest.raises(UnusableFile, match=found.code):
                measure_image(content, "x.png")
        else:
            assert found == measure_image(content, "x.png")
    assert sum(isinstance(found, UnusableFile) for found in together) == 2


@pytest.mark.parametrize("size", [(256, 256), (300, 100), (20, 90), (1, 500)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_colours_are_those_in_the_middles_of_fields(size: tuple[int, int], mode: str) -> None:
    picture = scene().resize(size).convert(mode)
    pixels = np.asarray(picture).reshape(*size[::-1], -1)
    fields = picture.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.NEAREST).convert("RGB")
    assert colour_grid(pixels).T.tobytes() == fields.tobytes()


def test_a_blurred_picture_is_less_sharp() -> None:
    sharp = measure_image(saved(scene()), "s.jpg").facts["sharpness"]
    soft = measure_image(saved(scene().filter(ImageFilter.GaussianBlur(4))), "b.jpg")
    assert soft.facts["sharpness"] < sharp / 4  # type: ignore[operator]


@given(width=st.integers(3, 40), height=st.integers(3, 40), seed=st.integers(0, 99))
def test_sharpness_is_the_variance_of_the_laplacian(width: int, height: int, seed: int) -> None:
    g = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(float)
    laplacian = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    found = surface_facts(g.astype(np.uint8))["sharpness"]
    assert found == pytest.approx(laplacian.var(), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_turned_by_exif_is_measured_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(scene().resize((120, 80)), kind, exif=exif.tobytes(), quality=95)
    measured = measure_image(content, "turned")
    assert codes(measured) == {"exif_rotated"}
    upright = (120, 80) if orientation < 5 else (80, 120)
    assert (measured.facts["width"], measured.facts["height"]) == upright
    assert measured.facts["orientation"] == orientation


def test_exif_does_not_turn_a_heic_whose_own_boxes_do_not() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(scene().resize((120, 80)), "HEIF", exif=b"Exif\x00\x00" + exif.tobytes())
    measured = measure_image(content, "x.heic")
    assert codes(measured) == set()
    assert (measured.facts["width"], measured.facts["orientation"]) == (120, 1)


def test_when_and_with_what_a_picture_was_taken_is_kept_but_not_where() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\x00", "EOS 5D"
    exif.get_ifd(0x8769)[0x9003] = "2021:06:01 12:30:00"
    exif.get_ifd(0x8769)[0x9011] = "+02:00"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    facts = measure_image(saved(scene(), exif=exif), "x.jpg").facts
    assert facts["captured_at"] == "2021-06-01T12:30:00+02:00"
    assert facts["camera"] == "Canon EOS 5D"
    assert not any("gps" in key.lower() or "lat" in key.lower() for key in facts)


def test_a_clock_that_was_never_set_gives_no_time() -> None:
    exif = Image.Exif()
    exif[0x0132] = "0000:00:00 00:00:00"
    assert "captured_at" not in measure_image(saved(scene(), exif=exif), "x.jpg").facts


def test_a_picture_with_broken_exif_is_read_wherever_it_is_opened() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(scene(), exif=exif, dpi=(72, 72))  # with a density no reader asks EXIF for it
    start = content.index(b"Exif") + 6
    broken = content[:start] + b"I#" + content[start + 2 :]
    assert measure_image(broken, "x.jpg").facts["orientation"] == 1
    assert len(small_grey(broken)) == 32 * 32
    assert decode_square(broken, 16).shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_used(kind: str) -> None:
    frames = [scene(seed, size=64) for seed in range(3)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    measured = measure_image(content, f"x.{kind.lower()}")
    assert codes(measured) == {"animated"}
    assert measured.facts["frames"] == 3
    still = measure_image(saved(frames[0]), "x.jpg")
    assert distance(measured.phash, still.phash) <= 8
    assert opened(measured.preview).format == "JPEG"


def test_a_cmyk_picture_gets_a_display_copy() -> None:
    measured = measure_image(saved(scene().convert("CMYK")), "print.jpg")
    assert codes(measured) == {"cmyk"}
    assert measured.display_mime == "image/jpeg"
    assert opened(measured.display).mode == "RGB"


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("TIFF", "tif")])
def test_sixteen_bits_are_stretched_for_display_and_hashed_in_full(kind: str, ending: str) -> None:
    ramp = np.add.outer(np.arange(100) * 20, np.arange(100)).astype(np.uint16)
    other = ramp.copy()
    other[0, 0] += 1
    one, two = (
        measure_image(saved(Image.fromarray(a), kind), f"x.{ending}") for a in (ramp, other)
    )
    assert codes(one) == {"sixteen_bit"}
    assert one.pixel_hash != two.pixel_hash
    assert opened(one.display).getextrema() == (0, 255)


def test_types_that_browsers_do_not_show_get_a_copy_of_bounded_size() -> None:
    tiff = measure_image(saved(scene(size=2500).resize((2500, 800)), "TIFF"), "x.tif")
    assert max(opened(tiff.display).size) == DISPLAY_SIDE
    heic = measure_image(saved(scene(size=300), "HEIF"), "IMG_1.HEIC")
    assert (heic.type, heic.oddities) == ("heic", ())
    assert opened(heic.display).size == (300, 300)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("size", [(5_000, 1), (1, 5_000), (3_000, 2)])
def test_a_picture_of_a_line_is_measured_and_shown(size: tuple[int, int], kind: str) -> None:
    for mode in ("L", "RGB") if kind == "BMP" else ("L", "RGB", "RGBA", "P", "I;16"):
        found = measure_image(saved(Image.new(mode, size, 90), kind), f"a.{kind.lower()}")
        assert (found.facts["width"], found.facts["height"]) == size
        for copy in filter(None, (found.preview, found.display)):
            decoded = decode_square(copy, side=8)
            assert decoded.shape[:2] == (8, 8)


def test_no_pictures_measure_nothing() -> None:
    assert [list(measure([])) for measure in (measure_images, hashes_of, light_facts)] == [[]] * 3


def test_transparent_parts_are_seen_on_white() -> None:
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 80, 40))
    facts = measure_image(saved(clear, "PNG"), "x.png").facts
    assert facts["transparent_share"] == 0.5
    assert facts["white_share"] == 0.5


def test_several_pages_blank_and_tiny_pictures_are_odd() -> None:
    pages = saved(scene(), "TIFF", save_all=True, append_images=[scene(1)])
    assert codes(measure_image(pages, "x.tif")) == {"many_pages"}
    assert codes(measure_image(saved(Image.new("RGB", (64, 64), "red")), "x.jpg")) == {"blank"}
    assert codes(measure_image(saved(scene(size=6), "PNG"), "x.png")) == {"tiny"}
    speck = Image.new("L", (64, 64), 255)
    speck.paste(0, (30, 30, 34, 34))
    assert codes(measure_image(saved(speck, "PNG"), "x.png")) == set()


def test_a_png_named_jpg_is_imported_and_odd() -> None:
    measured = measure_image(saved(scene(), "PNG"), "photo.jpg")
    assert measured.type == "png"
    assert codes(measured) == {"wrong_extension"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_file_that_breaks_off_is_refused(kind: str, share: float) -> None:
    content = saved(scene(), kind)
    refused = refusal(content[: int(share * len(content))], "x")
    assert refused.code in {"truncated", "unreadable"}
    if kind in {"JPEG", "PNG", "WEBP"}:
        assert refused.code == "truncated"
        assert f"{int(share * len(content)):,} bytes" in refused.reason


def test_a_jpeg_without_a_readable_header_is_refused_in_words() -> None:
    refused = refusal(b"\xff\xd8\xffnot a picture", "x.jpg")
    assert refused.reason.endswith("(its header cannot be read).")


def test_a_progressive_jpeg_that_breaks_off_is_refused() -> None:
    content = saved(scene(), progressive=True)
    assert refusal(content[: len(content) * 2 // 3]).code == "truncated"


def test_a_missing_end_mark_behind_all_pixels_is_only_odd() -> None:
    content = saved(scene())
    assert content.endswith(b"\xff\xd9")
    measured = measure_image(content[:-2], "x.jpg")
    assert codes(measured) == {"truncated_tail"}
    assert measured.pixel_hash == measure_image(content, "x.jpg").pixel_hash


ENDLESS = (
    *(("JPEG", {"progressive": way}) for way in (False, True)),
    *((kind, {}) for kind in ("PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "HEIF")),
    ("WEBP", {"lossless": True}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_deflate"}),
)


@pytest.mark.filterwarnings("ignore:.*(Truncated|Corrupt)")
@pytest.mark.parametrize(("kind", "options"), ENDLESS)
def test_a_file_short_of_its_last_bytes_is_told_whatever_its_format(kind, options) -> None:
    pillow_heif.register_heif_opener()
    content = saved(scene(size=63), kind, **options)
    assert "truncated_tail" not in codes(measure_image(content, "x"))
    for missing in (1, 2, 3, 4, 5, 8, 11, 12, 20, 64, len(content) // 3):
        try:
            told = codes(measure_image(content[:-missing], "x"))
        except UnusableFile as refused:
            told = {refused.code.replace("truncated", "truncated_tail")}
        assert "truncated_tail" in told, missing


def test_what_follows_the_end_of_a_picture_takes_nothing_from_it() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        assert not codes(measure_image(saved(scene(), kind) + b"more" * 99, "x"))


def png_claiming(width: int, height: int) -> bytes:
    """Return a PNG whose header claims any size; its few bytes hold no such picture."""

    def chunk(mark: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(mark + body)
        return struct.pack(">I", len(body)) + mark + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * 1000)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    refused = refusal(png_claiming(side, side), "bomb.png")
    assert refused.code == "decompression_bomb"
    assert "pixels" in refused.reason


def test_the_limits_are_the_callers() -> None:
    content = saved(scene())
    assert refusal(content, most_pixels=100).code == "decompression_bomb"
    assert refusal(content, most_bytes=100).code == "too_large"


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        measured = measure_image(bytes(content), "x", most_pixels=1_000_000)
    except UnusableFile as refused:
        assert refused.reason  # noqa: PT017  (either outcome is right)
    else:
        assert measured.pixel_hash


test_damaged_bytes_never_crash = pytest.mark.filterwarnings("ignore")(
    test_damaged_bytes_never_crash
)
SAMPLES = {
    kind: saved(scene(size=48), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
}


def test_real_odd_files_are_measured_or_refused_with_the_right_reason() -> None:
    folder = shared_path("data/imagededup_tests")
    archive = zipfile.ZipFile(folder / "images.zip")
    real = {"PPM": "pnm"}
    for row in csv.DictReader((folder / "index.csv").open()):
        content = archive.read(row["file"])
        if row["error"]:
            assert refusal(content, row["file"]).code == "unreadable"
            continue
        measured = measure_image(content, row["file"])
        assert measured.type == real.get(row["real_format"], row["real_format"].lower())
        shown = {measured.facts["width"], measured.facts["height"]}
        assert shown == {int(row["width"]), int(row["height"])}
        wrong_name = measured.type == "jpeg" and not row["file"].endswith((".jpg", ".jpeg"))
        assert ("wrong_extension" in codes(measured)) == wrong_name
        assert ("animated" in codes(measured)) == row["file"].endswith(".gif")
        assert (measured.display is not None) == (measured.type in {"pnm", "tiff"})
        assert max(opened(measured.preview).size) <= PREVIEW_SIDE

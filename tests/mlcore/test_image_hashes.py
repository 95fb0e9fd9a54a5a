"""Hashes by which pictures are known again: of their pixels, and of how they look."""

import io
import zipfile

import pytest
from PIL import Image

from mlcore.files import Measured
from mlcore.images import measure_image
from tests.mlcore.test_images import distance, saved, scene
from tests.shared import shared_path


@pytest.mark.parametrize("change", ["quality", "half", "brighter", "crop"])
def test_copies_that_look_alike_have_near_hashes(change: str) -> None:
    for seed in range(12):
        picture = scene(seed)
        copy = {
            "quality": lambda p: Image.open(io.BytesIO(saved(p, quality=40))),
            "half": lambda p: p.resize((100, 100)),
            "brighter": lambda p: p.point(lambda v: min(255, int(v * 1.2))),
            "crop": lambda p: p.crop((3, 3, 197, 197)),
        }[change](picture)
        one, other = (measure_image(saved(p), "x.jpg").phash for p in (picture, copy))
        assert distance(one, other) <= 10


def test_other_pictures_have_far_hashes() -> None:
    hashes = [measure_image(saved(scene(seed)), "x.jpg").phash for seed in range(12)]
    pairs = [(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distance(a, b) for a, b in pairs) > 12


def test_pictures_without_structure_are_flat_and_faint_photos_are_not() -> None:
    half = Image.new("L", (128, 128))
    half.paste(255, (0, 0, 128, 64))
    structureless = [Image.new("RGB", (128, 128), (90, 100, 110)), Image.linear_gradient("L"), half]
    for picture in structureless:
        for quality in (40, 90):
            assert measure_image(saved(picture, quality=quality), "x.jpg").flat
    for seed in range(8):
        faint = scene(seed).point(lambda v: 235 + int(v * 0.08))
        assert not measure_image(saved(faint, quality=90), "x.jpg").flat


def test_the_same_pixels_in_other_bytes_have_the_same_pixel_hash() -> None:
    picture = scene()
    png = measure_image(saved(picture, "PNG"), "a.png")
    others = [
        saved(picture, "PNG", compress_level=1),
        saved(picture, "BMP"),
        saved(picture, "WEBP", lossless=True),
        saved(picture, "TIFF"),
    ]
    for content in others:
        other = measure_image(content, "b")
        assert other.pixel_hash == png.pixel_hash
    assert measure_image(saved(scene(1), "PNG"), "c.png").pixel_hash != png.pixel_hash


def test_grey_and_opaque_alpha_pixels_equal_their_rgb_form() -> None:
    grey = scene().convert("L")
    forms = [grey, grey.convert("RGB"), grey.convert("RGBA"), grey.convert("LA")]
    assert len({measure_image(saved(f, "PNG"), "x.png").pixel_hash for f in forms}) == 1


def test_real_copies_are_found_by_hash() -> None:
    archive = zipfile.ZipFile(shared_path("data/imagededup_tests") / "images.zip")

    def look(name: str) -> Measured:
        return measure_image(archive.read(name), name)

    original = look("mixed_images/ukbench00120.jpg")
    assert distance(original.phash, look("mixed_images/ukbench00120_resize.jpg").phash) <= 4
    assert distance(original.phash, look("ukbench00120_gray.jpg").phash) <= 4
    assert distance(original.phash, look("base_images/ukbench09380.jpg").phash) > 16

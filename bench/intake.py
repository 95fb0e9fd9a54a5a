"""CPU time of the one look at each image: everything measured, hashes and preview included.

    python bench/intake.py [--images 2000] [--seed 2]

Prints one JSON line. The images are the peers' 256 px scenes (shared/peers): smooth noise at
three scales with a few shapes, JPEG quality 90. The bar (issue 2): 10,000 in 20 CPU-s.
"""

import argparse
import hashlib
import io
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlcore.files import Measured
from mlcore.images import measure_images

SIDE = 256
BAR_CPU_SECONDS = 20.0
BAR_IMAGES = 10_000


def scene(rng: np.random.Generator) -> Image.Image:
    """Return one picture as varied as a photo: texture at three scales and two to six shapes."""
    pixels = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells, strength in ((4, 70), (12, 40), (40, 22)):
        noise = Image.fromarray((rng.random((cells, cells, 3)) * 255).astype(np.uint8))
        grown = noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels += (np.asarray(grown, np.float32) - 127) / 127 * strength
    pixels += rng.normal(0, 5, pixels.shape) + 127 + rng.normal(0, 12, 3)
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 7)):
        x, y = (int(v) for v in rng.integers(0, SIDE, 2))
        width, height = (int(v) for v in rng.integers(SIDE // 12, SIDE // 2, 2))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((x, y, x + width, y + height), fill=colour)
    return picture


def jpeg(picture: Image.Image, *, quality: int = 90) -> bytes:
    """Return a picture as JPEG bytes."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def cpu_seconds(files: list[bytes]) -> tuple[float, str]:
    """Measure every file; return the CPU seconds and a digest of all pixel hashes."""
    digest = hashlib.sha256()
    measure_images([(files[0], "warm.jpg")])
    start = time.process_time()
    measured = measure_images((content, "a.jpg") for content in files)
    seconds = time.process_time() - start
    for found in measured:
        assert isinstance(found, Measured)
        digest.update(found.pixel_hash.encode())
    return seconds, digest.hexdigest()


def decoding_seconds(files: list[bytes]) -> float:
    """Decode every file and do nothing else: the floor, and a measure of how busy the CPU is."""
    start = time.process_time()
    for content in files:
        Image.open(io.BytesIO(content)).load()
    return time.process_time() - start


def main() -> None:
    """Print the figures of one run as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    files = [jpeg(scene(rng)) for _ in range(options.images)]
    seconds, digest = cpu_seconds(files)
    decoding = decoding_seconds(files)
    scaled = seconds / options.images * BAR_IMAGES
    figures = {
        "images": options.images,
        "mean_bytes": round(sum(map(len, files)) / len(files)),
        "cpu_seconds": round(seconds, 3),
        "cpu_ms_each": round(1000 * seconds / options.images, 3),
        "decode_only_ms_each": round(1000 * decoding / options.images, 3),
        "of_decode": round(seconds / decoding, 2),
        "cpu_seconds_10000": round(scaled, 2),
        "bar": BAR_CPU_SECONDS,
        "within_bar": scaled <= BAR_CPU_SECONDS,
        "digest": digest[:16],
        "python": platform.python_version(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

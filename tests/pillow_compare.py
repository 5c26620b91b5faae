#!/usr/bin/env python3
"""Compares leat's transform with Pillow and NumPy: pillow_compare.py DRIVER [CASES]

Random images (RGB and RGBA PNG, JPEG with every EXIF orientation), random boxes, up- and downscales, all dtypes and layouts.
Bilinear: every uint8 result must be within 1 of Pillow's, where alpha is kept within what division by it makes of 1.
Bicubic: within 1 where Pillow clips nothing between its passes (pixels of 96..159), else 40: a stage may overshoot by an
eighth of 255, which Pillow cuts off in between and we at the end. Floats: within the normalized step of that difference,
and rounding. Exit code 1 otherwise."""
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

UINT8, FLOAT16, FLOAT32 = 0, 8, 9
HWC, CHW = 1, 2
NUMPY = {UINT8: np.uint8, FLOAT16: np.float16, FLOAT32: np.float32}


def random_image(rng, width, height, mode, mild):
    """Noise, blocks and a gradient: noise shows wrong weights, gradients wrong positions, blocks clipping."""
    channels = len(mode)
    kind = rng.random()
    if mild:
        pixels = rng_np.integers(96, 160, (height, width, channels), dtype=np.uint8)
    elif kind < 0.5:
        pixels = rng_np.integers(0, 256, (height, width, channels), dtype=np.uint8)
    elif kind < 0.75:
        pixels = (rng_np.integers(0, 2, (height, width, channels)) * 255).astype(np.uint8)
    else:
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([(x * 3 + y * (c + 1)) % 256 for c in range(channels)], -1).astype(np.uint8)
    return Image.fromarray(pixels, mode)


def side(rng):
    return max(1, int(2 ** rng.uniform(0, 10)))


def make_case(rng, folder, number, mild):
    width, height = side(rng), side(rng)
    alpha = rng.random() < 0.3
    path = os.path.join(folder, f"{number}.png")
    image = random_image(rng, width, height, "RGBA" if alpha else "RGB", mild)
    orient = False
    if not alpha and rng.random() < 0.4:
        exif = Image.Exif()
        exif[0x0112] = rng.randint(1, 8)
        orient = rng.random() < 0.8
        path = os.path.join(folder, f"{number}.jpg")
        image.save(path, quality=rng.choice([50, 90]), subsampling=rng.choice([0, 2]), exif=exif)
    else:
        image.save(path, compress_level=1)
    image = Image.open(path)
    image.load()
    if orient:
        image = ImageOps.exif_transpose(image)
    return path, image, alpha, orient


def choose_box(rng, width, height):
    kind = rng.random()
    if kind < 0.3:
        return None
    w, h = rng.uniform(0, 1) * width, rng.uniform(0, 1) * height
    if kind < 0.7:  # as RandomResizedCrop: whole pixels
        w, h = max(1, int(w)), max(1, int(h))
        return rng.randint(0, width - w), rng.randint(0, height - h), w, h
    w, h = max(w, 0.2), max(h, 0.2)
    return rng.uniform(0, width - w), rng.uniform(0, height - h), w, h


def resized(image, box, size, resample, flip):
    whole = (0, 0, image.width, image.height)
    edges = (box[0], box[1], box[0] + box[2], box[1] + box[3]) if box else whole
    if (edges[2] - edges[0], edges[3] - edges[1]) == size and all(float(e).is_integer() for e in edges):
        image = image.crop(tuple(int(e) for e in edges))  # no resize: Pillow's would only pre- and unmultiply RGBA
    else:
        image = image.resize(size, resample, box=edges)
    pixels = np.asarray(image)
    return pixels[:, ::-1] if flip else pixels


def most_difference(pixels, bicubic, mild, alpha):
    """How far each byte may be from Pillow's."""
    most = np.ones(pixels.shape, np.float64)
    if bicubic and not (mild and not alpha):
        most += 39
    if alpha:  # a difference in a multiplied colour, and in alpha
        most[:, :, :3] += 2 * 255 * most[:, :, :3] / np.maximum(pixels[:, :, 3:].astype(np.float64), 1)
    return most


def differs(got, pixels, most, dtype, layout, mean, std):
    """The largest difference beyond what is allowed; 0 if all is well."""
    got = got.transpose(1, 2, 0) if layout == CHW else got
    want, scale = pixels.astype(np.float64), np.ones(pixels.shape[2])
    slack = 0
    if dtype != UINT8:
        channels = pixels.shape[2]
        scale = 1 / (255 * np.array(list(std) + [1], np.float64)[:channels])
        want = want * scale - np.array([m / s for m, s in zip(mean, std)] + [0], np.float64)[:channels]
        slack = 2**-20 * (1 + np.abs(want)) / min(list(std) + [1]) if dtype == FLOAT32 else 2**-9 * (1 + np.abs(want))
    return float((np.abs(got.astype(np.float64) - want) - most * scale - slack).max())


def read_exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        sys.exit(f"the driver ended early: {len(data)} of {count} bytes")
    return data


def main():
    global rng_np
    driver, cases = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300
    rng, rng_np = random.Random(1), np.random.default_rng(1)
    worst, differing = 0, 0
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
            [driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as process:
        for number in range(cases):
            mild, bicubic = rng.random() < 0.3, rng.random() < 0.3
            path, image, alpha, orient = make_case(rng, folder, number, mild)
            box = choose_box(rng, *image.size)
            size = (min(side(rng), 400), min(side(rng), 400))
            if rng.random() < 0.15:
                size = (int(box[2]) or 1, size[1]) if box else image.size
            flip, layout = rng.random() < 0.5, rng.choice([HWC, CHW])
            dtype = rng.choice([UINT8, UINT8, FLOAT16, FLOAT32])
            mean, std = [rng.uniform(0, 1) for _ in range(3)], [rng.uniform(0.1, 2) for _ in range(3)]
            mean, std = [float(np.float32(m)) for m in mean], [float(np.float32(s)) for s in std]
            line = [path, size[1], size[0], dtype, layout, int(alpha), int(orient), int(flip), int(bicubic)]
            line += [repr(float(v)) for v in box or (0, 0, 0, 0)] + [repr(v) for v in mean + std]
            process.stdin.write((" ".join(map(str, line)) + "\n").encode())
            process.stdin.flush()
            pixels = resized(image, box, size, Image.BICUBIC if bicubic else Image.BILINEAR, flip)
            height, width, channels = pixels.shape
            shape = (channels, height, width) if layout == CHW else pixels.shape
            bytes_ = read_exactly(process.stdout, pixels.size * np.dtype(NUMPY[dtype]).itemsize)
            got = np.frombuffer(bytes_, NUMPY[dtype]).reshape(shape)
            mild = mild and path.endswith(".png")  # JPEG's own ringing leaves 96..159
            off = differs(got, pixels, most_difference(pixels, bicubic, mild, alpha), dtype, layout, mean, std)
            if off > 0:
                differing += 1
                worst = max(worst, off)
                print(f"{off} too far: {image.size} {image.mode} box {box} -> {size} dtype {dtype} orient {orient}: {line}")
            os.unlink(path)
        process.stdin.close()
    if process.returncode:
        sys.exit(f"the driver failed: {process.returncode}")
    print(f"{cases} cases, {differing} too far from Pillow (worst by {worst})")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

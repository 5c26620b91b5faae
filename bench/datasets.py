"""datasets.py - the pictures of the benchmark sets: which photographs, and how samples are cut from them.

What:    three recipes. jpeg: like ImageNet, about 500x375, 80 to 90 KB on average, 4:2:0. large: crops of 1600x1200 and
         more at the photograph's own resolution, quality 90, 4:2:0. png: 256x256 RGB, as Pillow writes it.
Why so:  real pixels, because decoding time depends on them. A sample's draws depend on the seed, the set and its
         number alone, so that the same bytes come out on any number of processes. Photographs that are mostly sky or
         blur are left out and the detailed ones come more often: the rest would decode too fast. Of three crops the
         most detailed is taken, and the quality that brings it nearest to real sets' sizes, never over 95.
"""
import io
import random
from pathlib import Path

from PIL import Image

RECIPE = 1  # goes up whenever the same settings would give other bytes

NATURE = "usr/share/backgrounds/mate/nature/{}.jpg"
WALLPAPERS = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
MATE, PLASMA = "mate-backgrounds", "plasma-workspace-wallpapers"

# Photographs by how often their samples come.
PHOTOS = [(MATE, NATURE.format(name), often) for name, often in (
    ("Blinds", 1), ("Dune", 2), ("GreenMeadow", 1), ("LadyBird", 1), ("RainDrops", 1), ("YellowFlower", 1))]
PHOTOS += [(PLASMA, WALLPAPERS.format(name), often) for name, often in (
    ("BytheWater", 2), ("ColorfulCups", 1), ("EveningGlow", 4), ("FallenLeaf", 1), ("Grey", 1), ("OneStandsOut", 4),
    ("Path", 4))]
SMALL = {"Dune", "GreenMeadow"}  # under 1600x1200

JPEG_SIZES = [(500, 375)] * 10 + [(375, 500)] * 4 + [(500, 333)] * 4 + [(333, 500), (500, 500), (640, 480), (400, 300)]
JPEG_BYTES = (80_000, 120_000)
LARGE_SIZES = [(1600, 1200)] * 2 + [(2048, 1536)] * 2 + [(2560, 1600)]
PNG_SIZE = (256, 256)


def photos_of(name):
    """The photographs of a set: (package, path) each, as often as their samples come, spread evenly."""
    chosen = [photo for photo in PHOTOS if name != "large" or Path(photo[1]).stem not in SMALL]
    most = max(often for _, _, often in chosen)
    turns = [[(package, path) for package, path, often in chosen if turn * often % most < often]
             for turn in range(most)]
    return [photo for turn in turns for photo in turn]


def class_of(path):
    return (path.split("/")[-4] if "contents" in path else Path(path).stem).lower()


def encode(picture, quality):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    return out.getvalue()


def maybe_flipped(picture, draw):
    return picture.transpose(Image.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else picture


def scaled_crop(photo, width, height, draw):
    """A random part of the photograph, up to 4.2 times as large, scaled down to width x height."""
    room = min(photo.width / width, photo.height / height)
    scale = min(room, draw.uniform(1.5, 4.2))
    w, h = width * scale, height * scale
    x, y = draw.uniform(0, photo.width - w), draw.uniform(0, photo.height - h)
    return maybe_flipped(photo.resize((width, height), Image.LANCZOS, box=(x, y, x + w, y + h)), draw)


def jpeg_sample(photo, draw):
    size = draw.choice(JPEG_SIZES)
    crops = [scaled_crop(photo, *size, draw) for _ in range(3)]
    data, picture = max(((encode(one, 94), one) for one in crops), key=lambda both: len(both[0]))
    for quality in (95,) if len(data) < JPEG_BYTES[0] else (92, 90, 86) if len(data) > JPEG_BYTES[1] else ():
        data = encode(picture, quality)
        if len(data) <= JPEG_BYTES[1]:
            break
    return data


def large_sample(photo, draw):
    width, height = draw.choice([size for size in LARGE_SIZES if size[0] <= photo.width and size[1] <= photo.height])
    x, y = draw.randint(0, photo.width - width), draw.randint(0, photo.height - height)
    return encode(maybe_flipped(photo.crop((x, y, x + width, y + height)), draw), 90)


def png_sample(photo, draw):
    out = io.BytesIO()
    scaled_crop(photo, *PNG_SIZE, draw).save(out, "PNG")
    return out.getvalue()


# Set: its samples' extension and recipe.
RECIPES = {"jpeg": ("jpg", jpeg_sample), "large": ("jpg", large_sample), "png": ("png", png_sample)}


def make_samples(job):
    """Writes the samples of one photograph (source, folder, set, seed, numbers); returns the sum of their bytes."""
    source, folder, name, seed, numbers = job
    extension, recipe = RECIPES[name]
    photo = Image.open(source).convert("RGB")
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for number in numbers:
        data = recipe(photo, random.Random(f"{seed}/{name}/{number}"))
        (folder / f"{number:06d}.{extension}").write_bytes(data)
        total += len(data)
    return total

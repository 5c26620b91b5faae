#!/usr/bin/python3
"""make_data.py - builds a benchmark set that looks like ImageNet to a loader, from real photographs in Debian packages.

What:    random crops of wallpaper photographs, scaled to about 500x375, as JPEGs (4:2:0, quality about 90, 60 KB on
         average): DIR/photos/CLASS/NNNNNN.jpg, and with --shards the same samples as WebDataset shards
         DIR/shards/train-NNNNNN.tar (NNNNNN.jpg and NNNNNN.cls), with --zstd also DIR/shards-zst/train-NNNNNN.tar.zst.
         A class is a photograph.
Why so:  real pixels, because decoding time depends on them; nothing to download but two packages; the same bytes from
         the same --seed and the same Pillow. A finished folder is left alone if its manifest.json says that it is what
         was asked. Photographs that are mostly sky or blur are left out: they would decode too fast.
"""
import argparse
import io
import json
import multiprocessing
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from PIL import Image
from PIL import __version__ as pillow_version

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from debian_package import fetch  # noqa: E402

RECIPE = 1  # goes up whenever the same settings would give other bytes
NATURE = "usr/share/backgrounds/mate/nature"
WALLPAPERS = "usr/share/wallpapers"
PHOTOS = [("mate-backgrounds", f"{NATURE}/{name}.jpg") for name in (
    "Blinds", "Dune", "GreenMeadow", "LadyBird", "RainDrops", "YellowFlower")]
PHOTOS += [("plasma-workspace-wallpapers", f"{WALLPAPERS}/{name}/contents/images/2560x1600.jpg") for name in (
    "BytheWater", "ColorfulCups", "EveningGlow", "FallenLeaf", "Grey", "OneStandsOut", "Path")]
SIZES = [(500, 375)] * 10 + [(375, 500)] * 4 + [(500, 333)] * 4 + [(333, 500), (500, 500), (640, 480), (400, 300)]
BYTES = (60_000, 110_000)


def class_of(path):
    return (path.split("/")[-4] if "contents" in path else Path(path).stem).lower()


def encode(picture, quality):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    return out.getvalue()


def crop(photo, width, height, draw):
    room = min(photo.width / width, photo.height / height)
    scale = min(room, draw.uniform(1, 3.2))
    w, h = width * scale, height * scale
    x, y = draw.uniform(0, photo.width - w), draw.uniform(0, photo.height - h)
    picture = photo.resize((width, height), Image.LANCZOS, box=(x, y, x + w, y + h))
    return picture.transpose(Image.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else picture


def make_sample(photo, seed, number):
    """The most detailed of three crops, at the quality near 90 that brings it into BYTES, if any does."""
    draw = random.Random(f"{seed}/{number}")
    size = draw.choice(SIZES)
    crops = [crop(photo, *size, draw) for _ in range(3)]
    data, picture = max(((encode(one, 90), one) for one in crops), key=lambda both: len(both[0]))
    for quality in (92, 94) if len(data) < BYTES[0] else (86, 82) if len(data) > BYTES[1] else ():
        data = encode(picture, quality)
        if BYTES[0] <= len(data) <= BYTES[1]:
            break
    return data


def make_class(job):
    """All samples of one photograph; returns their bytes in all."""
    source, folder, seed, numbers = job
    photo = Image.open(source).convert("RGB")
    folder.mkdir(parents=True)
    total = 0
    for number in numbers:
        data = make_sample(photo, seed, number)
        (folder / f"{number:06d}.jpg").write_bytes(data)
        total += len(data)
    return total


def add_member(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def make_shard(job):
    path, samples, zstd = job
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, picture, label in samples:
            add_member(tar, f"{key}.jpg", picture.read_bytes())
            add_member(tar, f"{key}.cls", b"%d" % label)
    if zstd:
        to = path.parent.parent / "shards-zst" / f"{path.name}.zst"
        subprocess.run(["zstd", "-q", "-f", "-3", path, "-o", to], check=True)


def make_shards(to, classes, count, shards, zstd, pool):
    (to / "shards").mkdir()
    if zstd:
        (to / "shards-zst").mkdir()
    labels = {name: label for label, name in enumerate(sorted(classes))}
    samples = [[] for _ in range(shards)]
    for number in range(count):
        name = classes[number % len(classes)]
        picture = to / "photos" / name / f"{number:06d}.jpg"
        samples[number * shards // count].append((f"{number:06d}", picture, labels[name]))
    jobs = [(to / "shards" / f"train-{i:06d}.tar", samples[i], zstd) for i in range(shards)]
    for done, _ in enumerate(pool.imap_unordered(make_shard, jobs), 1):
        progress("shards", done, shards)


def progress(what, done, total):
    if sys.stderr.isatty():
        print(f"\r{what}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description="Builds a benchmark set from photographs in Debian packages.")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=int, default=4096, help="photographs (4096)")
    parser.add_argument("--shards", type=int, default=0, help="also as so many tar shards (0)")
    parser.add_argument("--zstd", action="store_true", help="also as .tar.zst")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("/var/tmp/leat-bench-cache"), metavar="DIR")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.count < len(PHOTOS) or not 0 <= options.shards <= options.count:
        parser.error(f"--count is at least {len(PHOTOS)}, --shards at most --count")
    return options


def main():
    options = parse_options()
    wanted = {"recipe": RECIPE, "pillow": pillow_version, "count": options.count, "seed": options.seed,
              "shards": options.shards, "zstd": options.zstd}
    manifest = options.to / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text())["settings"] == wanted:
        print(f"{options.to} is as asked: nothing to do")
        return
    ours = ("photos", "shards", "shards-zst")
    if not manifest.exists() and any((options.to / name).exists() for name in ours):
        sys.exit(f"{options.to} has data and no manifest.json: it was not made by this program; choose another folder")
    packages = {name: fetch(name, options.cache) for name in sorted({name for name, _ in PHOTOS})}
    options.to.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"settings": None}))  # begun: what is here is ours
    for name in ours:
        shutil.rmtree(options.to / name, ignore_errors=True)
    classes = [class_of(path) for _, path in PHOTOS]
    jobs = [(packages[package][0] / path, options.to / "photos" / name, options.seed,
             range(i, options.count, len(PHOTOS))) for i, ((package, path), name) in enumerate(zip(PHOTOS, classes))]
    with multiprocessing.Pool(options.processes) as pool:
        total = 0
        for done, size in enumerate(pool.imap_unordered(make_class, jobs), 1):
            total += size
            progress("photographs", done, len(jobs))
        if options.shards:
            make_shards(options.to, classes, options.count, options.shards, options.zstd, pool)
    manifest.write_text(json.dumps({
        "settings": wanted, "jpeg_bytes": total, "classes": sorted(classes),
        "packages": {name: version for name, (_, version) in packages.items()},
        "licence": "GPL-2+ (the packages' debian/copyright)"}, indent=1) + "\n")
    print(f"{options.to}: {options.count} photographs, {total / options.count / 1000:.1f} KB each, "
          f"{len(classes)} classes, {options.shards} shards")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""make_example_data.py - makes examples/data from a Debian package of photographs. Run it again and nothing changes.

What:    photographs of birds, flowers, fruit and mammals, cut out of their surroundings by the package's authors, are
         laid on out-of-focus crops of landscape photographs: 64 JPEGs and PNGs of 280 to 480 px, class by folder, under
         3 MB. Among them one of each kind that a decoder has to know: see KINDS.
Why so:  a newcomer's first run must need no download, must show real pictures, and may not ask for more than the GPL
         does. tuxpaint-stamps is a collection of stamps for children; its cartoons and drawings are not used.
"""
import argparse
import io
import random
import shutil
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageFilter

from debian_package import fetch

STAMPS = "usr/share/tuxpaint/stamps"
NATURE = "usr/share/backgrounds/mate/nature"
BACKGROUNDS = ("Aqua", "Dune", "GreenMeadow", "RainDrops", "Storm", "Wood")
CLASSES = {
    "bird": ("animals/birds", "albino_peahen blackbird crow crowned_crane cuckoo drake duck gander guineafowl "
             "helmeted_guineafowl lark magellanic_penguin owl pelican pigeon tucan"),
    "flower": ("plants/flowers", "adeenia anemone_red anthoorium chemparathi daffodil flower1 flower10 flower2 flower3 "
               "flower4 flower6 flower7 flower8 flower9 marigold rose"),
    "fruit": ("food/fruit", "Apricot_whole Cherry_Stella Strawberry2 apricot avocado cherimoya grapes kiwi lemon "
              "mandarine orange_seville pineapple pomegranate raspberry sliced_lime sliced_orange"),
    "mammal": ("animals/mammals", "elephant giraffe rabbit_little wildboar apes/gorilla aquatic/otter "
               "bears/european-bear bovines/bison bovines/cow bovines/goat bovines/ram camel/camel cats/lion-2 "
               "deer/wapiti dogs/dog equines/zebra"),
}
KINDS = {  # what is not a plain baseline JPEG, 4:2:0
    "bird/duck": "png-alpha", "fruit/kiwi": "png", "mammal/zebra": "png-palette", "flower/rose": "png-16",
    "bird/crow": "jpeg-grey", "flower/daffodil": "jpeg-progressive", "fruit/lemon": "jpeg-cmyk",
    "mammal/giraffe": "jpeg-orientation-6", "flower/marigold": "jpeg-444", "mammal/elephant": "jpeg-restart",
}
SAID = {
    "png-alpha": "PNG, 8 bit RGBA", "png": "PNG, 8 bit RGB", "png-palette": "PNG, palette of 128 colours",
    "png-16": "PNG, 16 bit RGB", "jpeg-grey": "JPEG, grey", "jpeg-progressive": "JPEG, progressive",
    "jpeg-cmyk": "JPEG, CMYK with Adobe's marker", "jpeg-orientation-6": "JPEG, EXIF orientation 6: stored on its side",
    "jpeg-444": "JPEG, 4:4:4", "jpeg-restart": "JPEG with restart markers",
}
EXIF_ORIENTATION = 0x0112


def backdrop(photos, size, draw):
    """An out-of-focus crop of a landscape."""
    photo = draw.choice(photos)
    scale = draw.uniform(0.6, 1) * min(photo.width / size[0], photo.height / size[1])
    w, h = size[0] * scale, size[1] * scale
    x, y = draw.uniform(0, photo.width - w), draw.uniform(0, photo.height - h)
    picture = photo.resize(size, Image.BICUBIC, box=(x, y, x + w, y + h))
    return picture.filter(ImageFilter.GaussianBlur(draw.uniform(1.5, 4)))


def fitted(stamp, size, draw):
    """The stamp cut to what is visible of it, scaled to fill most of `size`, and where to put it."""
    stamp = stamp.crop(stamp.getchannel("A").point(lambda a: 255 if a > 32 else 0).getbbox())
    scale = draw.uniform(0.78, 0.92) * min(size[0] / stamp.width, size[1] / stamp.height)
    stamp = stamp.resize((round(stamp.width * scale), round(stamp.height * scale)), Image.LANCZOS)
    x = round((size[0] - stamp.width) * draw.uniform(0.2, 0.8))
    y = round((size[1] - stamp.height) * draw.uniform(0.4, 0.9))
    return stamp, (x, y)


def compose(path, photos, kind):
    """The picture of one stamp: RGB, or RGBA where its surroundings stay transparent."""
    draw = random.Random(path.stem)
    stamp = Image.open(path).convert("RGBA")
    long, short = draw.choice((320, 360, 400, 440, 480)), draw.choice((280, 300, 320))
    size = (long, short) if stamp.width >= stamp.height else (short, long)
    stamp, place = fitted(stamp, size, draw)
    if kind == "png-alpha":
        canvas = Image.new("RGBA", size)
        canvas.paste(stamp, place)
        return canvas
    canvas = backdrop(photos, size, draw)
    canvas.paste(stamp, place, stamp)
    return canvas


def png_16(picture):
    """16 bit a channel, which Pillow does not write: every byte twice (v * 257 = v << 8 | v)."""
    raw = picture.tobytes()
    stride = picture.width * 3
    rows = b"".join(b"\0" + bytes(b for v in raw[y:y + stride] for b in (v, v)) for y in range(0, len(raw), stride))
    header = struct.pack(">IIBBBBB", *picture.size, 16, 2, 0, 0, 0)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def encode(picture, kind):
    out = io.BytesIO()
    if kind == "png-16":  # smaller, or it is 500 KB
        return png_16(picture.resize((picture.width * 3 // 5, picture.height * 3 // 5), Image.LANCZOS))
    if kind.startswith("png"):
        picture = picture.quantize(128, dither=Image.Dither.NONE) if kind == "png-palette" else picture
        picture.save(out, "PNG", optimize=True)
        return out.getvalue()
    settings = {"quality": 88, "subsampling": "4:4:4" if kind == "jpeg-444" else "4:2:0"}
    if kind == "jpeg-grey":
        picture = picture.convert("L")
        del settings["subsampling"]
    if kind == "jpeg-cmyk":
        picture = picture.convert("CMYK")
    if kind == "jpeg-progressive":
        settings["progressive"] = True
    if kind == "jpeg-restart":
        settings["restart_marker_rows"] = 4
    if kind == "jpeg-orientation-6":  # stored lying on its side: a viewer turns it by 90 degrees clockwise
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        settings["exif"] = Image.Exif()
        settings["exif"][EXIF_ORIENTATION] = 6
    picture.save(out, "JPEG", **settings)
    return out.getvalue()


ORIGIN = """# Where these photographs come from

{count} pictures, {bytes} bytes, made by `scripts/make_example_data.py` (run it again and the same files come out).

| Debian package | version | licence | copyright, as its debian/copyright says |
| --- | --- | --- | --- |
| tuxpaint-stamps-default | {stamps} | GPL-2+ | 2002-2022 by Bill Kendrick |
| mate-backgrounds | {backgrounds} | GPL-2+ | the photographers named below |

The cut-out photographs (what a picture shows) are from tuxpaint-stamps ("various contributors", says its changelog);
the out-of-focus landscapes behind them are crops of mate-backgrounds' `nature` folder: Aqua (2008, Charles Barbin),
Dune (2007, Marco Cogoni; 2008, Hylke Bons), GreenMeadow (2005, Timothy Schellhase; 2008, Lapo Calamandrei), RainDrops (2008,
"blackcombwhistler07"), Storm (2008, Sergey Nazarov) and Wood (2008, Jean-Francois Fortin Tam).

So the pictures in this folder are under the **GNU General Public License, version 2 or (at your option) any later
version** (`GPL-2.txt`), and not under leat's own licence. They are data beside the program: nothing of them is compiled
or linked into it. The files they were made from are the packages' own PNGs and JPEGs (`apt-get download
tuxpaint-stamps-default mate-backgrounds`); what was changed is what the script does: cut, scaled, laid on a background,
encoded.

Most are baseline JPEGs, 4:2:0. The others:

| file | what it is |
| --- | --- |
{kinds}

| file | made from (under {root}) |
| --- | --- |
{files}
"""


def main():
    parser = argparse.ArgumentParser(description="Makes examples/data.")
    here = Path(__file__).resolve().parent.parent / "examples" / "data"
    parser.add_argument("--to", type=Path, default=here, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path("/var/tmp/leat-bench-cache"), metavar="DIR")
    options = parser.parse_args()
    stamps, stamps_version = fetch("tuxpaint-stamps-default", options.cache)
    backgrounds, backgrounds_version = fetch("mate-backgrounds", options.cache)
    photos = [Image.open(backgrounds / NATURE / f"{name}.jpg").convert("RGB") for name in BACKGROUNDS]
    shutil.rmtree(options.to / "photos", ignore_errors=True)
    files, kinds, total = [], [], 0
    for name, (folder, pictures) in CLASSES.items():
        (options.to / "photos" / name).mkdir(parents=True)
        for path in pictures.split():
            source = stamps / STAMPS / folder / f"{path}.png"
            stem = source.stem.lower()
            kind = KINDS.get(f"{name}/{stem}", "jpeg")
            data = encode(compose(source, photos, kind), kind)
            made = f"photos/{name}/{stem}.{'png' if kind.startswith('png') else 'jpg'}"
            (options.to / made).write_bytes(data)
            total += len(data)
            files.append(f"| {made} | {folder}/{path}.png |")
            if kind in SAID:
                kinds.append(f"| {made} | {SAID[kind]} |")
    shutil.copyfile("/usr/share/common-licenses/GPL-2", options.to / "GPL-2.txt")
    (options.to / "ORIGIN.md").write_text(ORIGIN.format(
        count=len(files), bytes=f"{total:,}", stamps=stamps_version, backgrounds=backgrounds_version,
        kinds="\n".join(kinds), root=STAMPS, files="\n".join(files)))
    print(f"{options.to}: {len(files)} pictures, {total:,} bytes")


if __name__ == "__main__":
    main()

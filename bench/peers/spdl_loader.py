"""spdl_loader.py - SPDL: its Pipeline with threads, spdl.io (FFmpeg) for the pixels.

Set up:  as its documentation and its ImageNet example: a source of batches of paths, a stage that loads a batch with
         concurrency = threads = cores, a sink; crop, bilinear scaling and flip as FFmpeg filters in the decoding
         call; normalization in torch, on the CPU for want of an accelerator, with one torch thread in each of SPDL's.
         The crop is drawn from the size in the header, as torchvision does. Over HTTP: a stage of its Pipeline
         fetches shards with urllib (SPDL has no network client; its documentation says to bring one) and takes them
         apart with spdl.io.iter_tarfile."""
import math
import random
import urllib.request

import common

import spdl.io
import torch
from spdl.pipeline import PipelineBuilder

MEAN = torch.tensor(common.MEAN).view(1, 3, 1, 1) * 255
STD = torch.tensor(common.STD).view(1, 3, 1, 1) * 255


def crop(width, height):
    """RandomResizedCrop as torchvision draws it: (x, y, width, height)."""
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, width - w), random.randint(0, height - h), w, h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (width - w) // 2, (height - h) // 2, w, h


def frames(source, is_random):
    packets = spdl.io.demux_image(source)
    filters = f"scale={common.SIZE}:{common.SIZE}:flags=bilinear"
    if is_random:
        x, y, w, h = crop(packets.width, packets.height)
        filters = f"crop={w}:{h}:{x}:{y}:exact=1,{filters}" + (",hflip" if random.random() < 0.5 else "")
    description = spdl.io.get_video_filter_desc(filter_desc=filters, pix_fmt="rgb24")
    return spdl.io.decode_packets(packets, filter_desc=description)


def load(sources, work):
    buffer = spdl.io.convert_frames([frames(source, work in common.RANDOM_CROP) for source in sources])
    pixels = spdl.io.to_torch(buffer).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return pixels.sub_(MEAN).div_(STD)


def fetch(url):
    """The pictures of a shard."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        data = answer.read()
    return [bytes(body) for name, body in spdl.io.iter_tarfile(data) if name.endswith((".jpg", ".jpeg", ".png"))]


def batches(options):
    torch.set_num_threads(1)
    for _ in range(options.epochs):
        builder = PipelineBuilder()
        if options.work == "http":
            urls = common.shards(options)
            random.shuffle(urls)
            builder.add_source(urls).pipe(fetch, concurrency=options.threads).disaggregate().aggregate(options.batch)
        else:
            paths = [path for path, _label in common.samples(options)]
            random.shuffle(paths)
            builder.add_source([paths[i:i + options.batch] for i in range(0, len(paths), options.batch)])
        builder.pipe(lambda sources: load(sources, options.work), concurrency=options.threads).add_sink(2)
        pipeline = builder.build(num_threads=options.threads)
        with pipeline.auto_stop():
            yield from pipeline


if __name__ == "__main__":
    common.main(batches)

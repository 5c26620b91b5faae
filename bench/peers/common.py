"""common.py - what the peers' programs share: arguments, the clock, the result as one line of JSON.

What:    a peer is a file with  batches(options)  (a generator: builds the loader as its documentation says and yields
         the images of each batch, epoch after epoch) and, if it has a format of its own,  prepare(options) ; it ends
         with common.main(...).

             python FILE prepare --work rrc --data DIR            once, not measured
             python FILE run --work rrc --data DIR --threads 2 --batch 64 --epochs 3

Works:   rrc    RandomResizedCrop 224 + flip + normalize, float32 CHW, from the JPEGs of DIR/jpeg
         full   decode + resize to 224x224 + normalize, the same JPEGs
         png    the same as full from the PNGs of DIR/png
         large  rrc from the large photographs of DIR/large
         http   rrc from the shards at --url
Time:    seconds and first_batch_seconds count from the call of batches(), as a user's program would build its loader
         with the libraries imported; first_batch_from_exec_seconds counts from the start of the process. The steady
         rate leaves out the first batch and the time to it.
"""
import argparse
import json
import os
import sys
import time

IMPORTED = time.monotonic()
SIZE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SETS = {"rrc": "jpeg", "full": "jpeg", "png": "png", "large": "large", "http": "jpeg"}
RANDOM_CROP = ("rrc", "large", "http")  # the works that crop at random and flip
HOME = os.environ.get("LEAT_PEERS", "/var/tmp/leat-peers")


def folder(options):
    """Class folders of loose files."""
    return os.path.join(options.data, SETS[options.work], "folder")


def shards(options):
    """The .tar shards, as paths or, for http, as URLs."""
    path = os.path.join(options.data, SETS[options.work], "tar")
    names = sorted(name for name in os.listdir(path) if name.endswith(".tar"))
    return [f"{options.url}/{SETS[options.work]}/tar/{name}" if options.work == "http" else os.path.join(path, name)
            for name in names]


def converted(options, peer):
    """Where the peer keeps the set in its own format: one place for each set and each data folder."""
    place = os.path.realpath(options.data).strip("/").replace("/", "-")
    return os.path.join(HOME, "data", place, SETS[options.work], peer)


def samples(options):
    """(path, label) of every image of the folder, in order of class and name."""
    root = folder(options)
    for label, name in enumerate(sorted(os.listdir(root))):
        for file in sorted(os.listdir(os.path.join(root, name))):
            yield os.path.join(root, name, file), label


def read(path):
    with open(path, "rb") as file:
        return file.read()


def check(batch, size):
    """The last batch must be what was asked for: a fast wrong answer is no answer. Returns (mean, deviation)."""
    import numpy
    array = numpy.asarray(batch)
    assert array.dtype == numpy.float32, f"dtype {array.dtype}"
    assert array.shape == (size, 3, SIZE, SIZE), f"shape {array.shape}"
    assert numpy.isfinite(array).all() and len(numpy.unique(array[:, 0, ::8, ::8])) > 16, "no pictures"
    assert -2.2 < array.min() < array.max() < 2.7, f"values {array.min()} .. {array.max()}: not normalized"
    return round(float(array.mean()), 3), round(float(array.std()), 3)


def measure(options, batches):
    import_cpu = time.process_time()
    begin = time.monotonic()
    images = count = first_images = 0
    first = last = begin
    stream = batches(options)
    batch = None
    for batch in stream:
        last = time.monotonic()
        images += len(batch)
        count += 1
        if count == 1:
            first, first_images = last, len(batch)
        if options.images and images >= options.images * options.epochs:
            break
    there = sum(1 for _ in samples(options)) * options.epochs
    wanted = min(there, options.images * options.epochs or there)
    assert count > 1 and images >= 0.99 * wanted, f"{images} images in {count} batches, of {wanted}"
    mean, deviation = check(batch, len(batch))
    begun = float(os.environ.get("LEAT_PEERS_EXEC", IMPORTED))  # the monotonic clock just before exec
    return {"images": images, "batches": count, "seconds": last - begin, "first_batch_seconds": first - begin,
            "first_batch_from_exec_seconds": first - begun, "import_seconds": begin - begun,
            "import_cpu_seconds": import_cpu, "images_per_second": images / (last - begin),
            "steady_images_per_second": (images - first_images) / (last - first), "mean": mean, "std": deviation}


def arguments():
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__.splitlines()[0])
    parser.add_argument("step", choices=["run", "prepare"])
    parser.add_argument("--work", choices=list(SETS), default="rrc")
    parser.add_argument("--data", required=True, metavar="DIR", help="with {jpeg,png,large}/{folder,tar}")
    parser.add_argument("--threads", type=int, default=2, help="cores: worker processes or threads (default 2)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--images", type=int, default=0, help="stop after so many an epoch (default 0: all)")
    parser.add_argument("--url", default="", help="http: where DIR is served")
    return parser.parse_args()


def main(batches, prepare=None, cannot=()):
    """cannot: {work: reason}. Exit code 3: this work is not for this peer; the reason is on stderr."""
    options = arguments()
    reason = dict(cannot).get(options.work)
    if reason:
        print(reason, file=sys.stderr)
        sys.exit(3)
    if options.step == "prepare":
        if prepare:
            prepare(options)
        return
    result = measure(options, batches)
    print(json.dumps({"work": options.work, **result}), flush=True)

"""turboloader_loader.py - TurboLoader's fused C++ path over one .tar of JPEGs.

Set up:  as its README's quick start: image_size, ImageNetNormalize, and train_aug=True for the random crop and flip.
         Its thread pool takes all the cores that the process may run on; the prefetch is the default. It resizes
         without antialiasing, its default (antialias=True is there, and slower). One .tar is all it takes: `prepare`
         puts the JPEGs of the set into one."""
import os
import tarfile

import common

import turboloader

CANNOT = {"png": "its batches come from JPEGs only", "http": "its random crop (train_aug) requires a local archive"}


def prepare(options):
    out = common.converted(options, "turboloader.tar")
    if os.path.exists(out):
        return
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with tarfile.open(out + ".part", "w", format=tarfile.USTAR_FORMAT) as tar:
        for path, _label in common.samples(options):
            tar.add(path, os.path.basename(path))
    os.rename(out + ".part", out)


def batches(options):
    loader = turboloader.DataLoader(
        common.converted(options, "turboloader.tar"), batch_size=options.batch, num_workers=options.threads,
        image_size=common.SIZE, output_format="pytorch", transform=turboloader.ImageNetNormalize(), shuffle=True,
        train_aug=options.work in common.RANDOM_CROP)
    for epoch in range(options.epochs):
        loader.set_epoch(epoch)
        for images, _meta in loader:
            yield images


if __name__ == "__main__":
    common.main(batches, prepare, CANNOT)

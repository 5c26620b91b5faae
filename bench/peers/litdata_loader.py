"""litdata_loader.py - LitData over its own chunks, on the local disk.

Set up:  optimize() once into chunks of 64 MB (its documented size), the JPEG or PNG bytes as they are; a
         StreamingDataset with shuffle and a transform in a StreamingDataLoader with num_workers = cores."""
import os
import shutil

import common
from torchvision_work import decode, transform

import litdata


def sample(item):
    path, label = item
    return {"image": common.read(path), "label": label}


def prepare(options):
    out = common.converted(options, "litdata")
    if os.path.exists(os.path.join(out, "index.json")):
        return
    shutil.rmtree(out, ignore_errors=True)
    litdata.optimize(fn=sample, inputs=list(common.samples(options)), output_dir=out, chunk_bytes="64MB", num_workers=1)


class Pictures(litdata.StreamingDataset):
    def __init__(self, options):
        super().__init__(common.converted(options, "litdata"), shuffle=True)
        self.pixels = transform(options.work)

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return self.pixels(decode(item["image"])), item["label"]


def batches(options):
    loader = litdata.StreamingDataLoader(Pictures(options), batch_size=options.batch, num_workers=options.threads,
                                         persistent_workers=True)
    for _ in range(options.epochs):
        for images, _labels in loader:
            yield images


if __name__ == "__main__":
    common.main(batches, prepare, cannot={"http": "reads s3, gs, azure and the like, no plain HTTP"})

"""mosaic_streaming.py - MosaicML Streaming over its own MDS shards, on the local disk.

Set up:  a StreamingDataset whose __getitem__ transforms, in a torch DataLoader with num_workers = cores, as its
         documentation does; the JPEG or PNG bytes are stored as they are ("bytes") in shards of the default size."""
import os
import shutil

import common
from torchvision_work import decode, transform

from streaming import MDSWriter, StreamingDataset
from torch.utils.data import DataLoader


def prepare(options):
    out = common.converted(options, "mds")
    if os.path.exists(os.path.join(out, "index.json")):
        return
    shutil.rmtree(out, ignore_errors=True)
    with MDSWriter(out=out, columns={"image": "bytes", "label": "int"}) as writer:
        for path, label in common.samples(options):
            writer.write({"image": common.read(path), "label": label})


class Pictures(StreamingDataset):
    def __init__(self, options):
        super().__init__(local=common.converted(options, "mds"), shuffle=True, batch_size=options.batch)
        self.transform = transform(options.work)

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return self.transform(decode(sample["image"])), sample["label"]


def batches(options):
    loader = DataLoader(Pictures(options), batch_size=options.batch, num_workers=options.threads,
                        persistent_workers=True)
    for _ in range(options.epochs):
        for images, _labels in loader:
            yield images


if __name__ == "__main__":
    common.main(batches, prepare, cannot={"http": "reads s3, gs, azure and the like, no plain HTTP"})

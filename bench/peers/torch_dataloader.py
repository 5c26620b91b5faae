"""torch_dataloader.py - torch's DataLoader over torchvision's ImageFolder, as in pytorch/examples/imagenet.

Set up:  num_workers = cores, shuffle, persistent workers (so that later epochs don't pay for starting them again),
         the default prefetch of two batches a worker; the workers have one torch thread each, which DataLoader itself
         sees to. No pinned memory: there is no accelerator."""
import common
from torchvision_work import torchvision, transform

from torch.utils.data import DataLoader


def batches(options):
    dataset = torchvision.datasets.ImageFolder(common.folder(options), transform(options.work))
    loader = DataLoader(dataset, batch_size=options.batch, shuffle=True, num_workers=options.threads,
                        persistent_workers=True)
    for _ in range(options.epochs):
        for images, _labels in loader:
            yield images


if __name__ == "__main__":
    common.main(batches, cannot={"http": "ImageFolder reads local files only"})

"""webdataset_loader.py - webdataset over .tar shards, local or by HTTP.

Set up:  as its documentation does: shards shuffled and split over the workers, a shuffle buffer of 1,000 samples,
         PIL, torchvision, batches made in the workers (WebLoader with batch_size=None); num_workers = cores. Over
         HTTP it starts `curl` for each shard ("pipe:curl -s -L -f URL", its documented way)."""
import common
from torchvision_work import transform

import webdataset as wds


def batches(options):
    urls = common.shards(options)
    if options.work == "http":
        urls = [f"pipe:curl -s -L -f {url}" for url in urls]
    dataset = (wds.WebDataset(urls, shardshuffle=len(urls))
               .shuffle(1000).decode("pilrgb").to_tuple("jpg;jpeg;png", "cls")
               .map_tuple(transform(options.work), int).batched(options.batch))
    loader = wds.WebLoader(dataset, batch_size=None, num_workers=options.threads, persistent_workers=True)
    for _ in range(options.epochs):
        for images, _labels in loader:
            yield images


if __name__ == "__main__":
    common.main(batches)

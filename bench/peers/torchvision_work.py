"""torchvision_work.py - the works as torchvision transforms, for all who live with torch.

What:    transform(work), decode(bytes): v2 on uint8 tensors, as torchvision's documentation recommends for speed:
         decoded by PIL, then torch's antialiased bilinear resize (here a fifth faster than the same transforms on PIL
         images).
Why so:  torchvision's wheels on PyPI are linked with CUDA: its C++ operators can't be loaded into a CPU build of torch.
         These transforms use none of them (its JPEG decoder is one, hence PIL); but the names must exist when
         torchvision is imported, so they are declared.
"""
import io

import torch
from PIL import Image

import common

if torch.version.cuda is None:
    names = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        names.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import torchvision  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

__all__ = ["decode", "torchvision", "transform"]


def transform(work):
    size = (common.SIZE, common.SIZE)
    geometry = [v2.Resize(size, antialias=True)]
    if work in common.RANDOM_CROP:
        geometry = [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()]
    return v2.Compose([v2.PILToTensor(), *geometry, v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize(common.MEAN, common.STD)])


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")

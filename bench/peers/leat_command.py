"""leat_command.py - leat itself, by its command `leat bench`.

What:    command(options, leat) and result(options, leat's JSON): run.py starts the command as it is, so that no
         Python is measured with it. For trying:  leat_command.py run --leat build/cli/leat --work rrc --data DIR
Time:    leat counts from leat_open. What the process needs before it and after its last batch is not known apart: all
         of it is added to first_batch_from_exec_seconds, to our disadvantage.
Set up:  leat reads the shards (.tar), leat-folder the same samples as class folders, as torch's ImageFolder does; the
         defaults but for what the work asks for."""
import os

import common

OURS = {"leat": "tar", "leat-folder": "folder"}  # which form of the set


def commas(values):
    return ",".join(map(str, values))


def command(options, leat, form="tar"):
    source = os.path.join(options.data, common.SETS[options.work], form)
    if options.work == "http":
        paths = common.shards(options)
        stem = paths[0][:-len("000000.tar")]
        assert paths == [f"{stem}{i:06d}.tar" for i in range(len(paths))], "shards are not numbered from 000000"
        source = f"{stem}{{000000..{len(paths) - 1:06d}}}.tar"
    crop = ["--crop", "random-resized", "--flip"] if options.work in common.RANDOM_CROP else ["--crop", "none"]
    limit = ["--limit", str(options.images)] if options.images else []
    return [leat, "bench", source, "--json", "--threads", str(options.threads), "--batch", str(options.batch),
            "--image", f"{common.SIZE}x{common.SIZE}", *crop, "--dtype", "f32", "--mean", commas(common.MEAN),
            "--std", commas(common.STD), "--epochs", str(options.epochs), *limit]


def result(options, figures, wall_seconds):
    """In the words of common.measure()."""
    assert figures["errors"] == 0, f"{figures['errors']} errors"
    outside = max(0.0, wall_seconds - figures["seconds"])
    return {"work": options.work, "images": figures["samples"], "batches": figures["batches"],
            "seconds": figures["seconds"], "first_batch_seconds": figures["first_batch_seconds"],
            "first_batch_from_exec_seconds": figures["first_batch_seconds"] + outside, "import_seconds": outside,
            "import_cpu_seconds": 0.0, "images_per_second": figures["samples_per_second"],
            "steady_images_per_second": figures["steady_samples_per_second"], "version": figures["version"]}


def main():
    import json
    import subprocess
    import sys
    import time
    leat = "leat"
    if "--leat" in sys.argv:
        at = sys.argv.index("--leat")
        leat = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    options = common.arguments()
    if options.step == "run":
        begin = time.monotonic()
        done = subprocess.run(command(options, leat), stdout=subprocess.PIPE, check=True)
        print(json.dumps(result(options, json.loads(done.stdout), time.monotonic() - begin)))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""report.py - run.py's results as a table (Markdown) and as a chart (SVG).

    python3 bench/peers/report.py results.json      prints the table; with --svg the chart

Each figure is the median of the rounds, (lowest..highest) beside it. The chart shows images/s, with a line from the
lowest to the highest round."""
import json
import statistics
import sys
from xml.sax.saxutils import escape

TITLES = {"rrc": "RandomResizedCrop 224, flip, normalize: JPEGs of about 500x375",
          "full": "Decode, resize to 224x224, normalize: same JPEGs",
          "png": "Decode, resize to 224x224, normalize: PNGs of 256x256",
          "http": "RandomResizedCrop 224 over HTTP, nginx on loopback",
          "large": "RandomResizedCrop 224, flip, normalize: large photographs"}
WIDTH, LEFT, RIGHT, BAR, GAP = 860, 150, 130, 20, 8


def good(result):
    return [run for run in result["runs"] if "error" not in run]


def spread(result, key, scale=1.0):
    values = [run[key] * scale for run in good(result)]
    return statistics.median(values), min(values), max(values)


def cell(result, key, scale=1.0, digits=0):
    return "{0:.{3}f} ({1:.{3}f}..{2:.{3}f})".format(*spread(result, key, scale), digits)


def ranked(results):
    """Peers that have figures, the fastest first."""
    able = [peer for peer in results if good(results[peer])]
    return sorted(able, key=lambda peer: -spread(results[peer], "steady_images_per_second")[0])


def problems(results):
    for peer, result in results.items():
        failed = [run["error"] for run in result["runs"] if "error" in run]
        if result["error"]:
            yield f"- {peer}: {result['error']}"
        elif failed:
            yield f"- {peer}: {len(failed)} of {len(result['runs'])} rounds failed: {failed[-1]}"


def work_table(work, results):
    lines = [f"### {TITLES[work]}", "",
             "| loader | images/s | with start-up | CPU s / 1,000 images | without imports | peak memory, MB | "
             "without file pages | first batch, s | from exec, s |" + (" nginx CPU s |" if work == "http" else ""),
             "| --- |" + " ---: |" * (9 if work == "http" else 8)]
    for peer in ranked(results):
        result = results[peer]
        cells = [peer, cell(result, "steady_images_per_second"), cell(result, "images_per_second"),
                 cell(result, "cpu_seconds_per_1000_images", 1, 2),
                 cell(result, "loader_cpu_seconds_per_1000_images", 1, 2),
                 cell(result, "peak_pss_bytes", 1e-6), cell(result, "peak_private_bytes", 1e-6),
                 cell(result, "first_batch_seconds", 1, 2), cell(result, "first_batch_from_exec_seconds", 1, 2)]
        if work == "http":
            cells.append(cell(result, "server_cpu_seconds", 1, 2))
        lines.append("| " + " | ".join(cells) + " |")
    missing = list(problems(results))
    return "\n".join(lines + ([""] + missing if missing else []))


def head(results):
    machine, settings = results["machine"], results["settings"]
    versions = "; ".join(f"{peer}: " + ", ".join(f"{name} {version}" for name, version in found.items())
                         for peer, found in results["versions"].items())
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
            f"{machine['system']}; {results['date']}. {settings['threads']} threads or workers, "
            f"batches of {settings['batch']}, {settings['epochs']} epochs (png and large: twice as many), "
            f"{settings['rounds']} rounds in turns: median (lowest..highest). "
            "Images/s after the first batch; with start-up: from building the loader to the last batch. "
            "CPU and memory: the whole process tree with its start; without imports: less what the main process had "
            "used when it began to build the loader; memory is PSS. First batch: from building the loader, libraries "
            "imported; from exec: from the start of the process (importing torch or TensorFlow is not the loader's "
            f"doing, but a user waits for it).\n\n{versions}.")


def table(results):
    parts = [head(results)] + [work_table(work, found) for work, found in results["works"].items()]
    if results["not_installed"]:
        lines = "\n".join(f"- {peer}: {why}" for peer, why in results["not_installed"].items())
        parts.append("### Not installed\n\n" + lines)
    return "\n\n".join(parts) + "\n"


def ticks(most):
    """About six round steps from 0 to past the largest."""
    step = 10 ** len(str(int(most / 6)))
    step = next(size for size in (step / 10, step / 5, step / 4, step / 2, step) if most / size <= 7)
    return [step * i for i in range(int(most / step) + 2)]


def text(x, y, words, anchor="start", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>'


def panel(work, results, top):
    """The bars of one work; returns (lines of SVG, height)."""
    peers = ranked(results)
    marks = ticks(max(spread(results[peer], "steady_images_per_second")[2] for peer in peers))
    scale = (WIDTH - LEFT - RIGHT) / marks[-1]
    bottom = top + 34 + len(peers) * (BAR + GAP)
    svg = [text(LEFT, top + 18, TITLES[work], extra='font-size="14" font-weight="bold"')]
    for mark in marks:
        x = LEFT + mark * scale
        svg.append(f'<line x1="{x:.1f}" y1="{top + 28}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        svg.append(text(x, bottom + 15, f"{mark:,.0f}", "middle", 'fill="#555"'))
    for row, peer in enumerate(peers):
        middle, low, high = spread(results[peer], "steady_images_per_second")
        y = top + 34 + row * (BAR + GAP)
        colour = "#d9722e" if peer.startswith("leat") else "#7a9cc6"
        svg += [text(LEFT - 8, y + 15, peer, "end"),
                f'<rect x="{LEFT}" y="{y}" width="{middle * scale:.1f}" height="{BAR}" fill="{colour}"/>',
                f'<path d="M{LEFT + low * scale:.1f} {y + BAR / 2}H{LEFT + high * scale:.1f}'
                f'M{LEFT + low * scale:.1f} {y + 5}v10M{LEFT + high * scale:.1f} {y + 5}v10" '
                'stroke="#333" fill="none"/>',
                text(LEFT + high * scale + 8, y + 15, f"{middle:,.0f}")]
    svg.append(text(LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 32, "images/s", "middle", 'fill="#555"'))
    return svg, bottom + 48 - top


def chart(results):
    body, top = [], 44
    for work, found in results["works"].items():
        if ranked(found):
            lines, height = panel(work, found, top)
            body += lines
            top += height
    machine, settings = results["machine"], results["settings"]
    title = (f"Images/s on {settings['threads']} of {machine['cores']} cores, {machine['cpu']}, "
             f"{results['date'][:10]}: median, lowest and highest of {settings['rounds']} rounds")
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
                      f'viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>',
                      text(16, 24, title, extra='fill="#333"'), *body, "</svg>", ""])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print((chart if "--svg" in sys.argv else table)(json.load(file)))

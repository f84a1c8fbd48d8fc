#!/usr/bin/env python3
"""What compare.py found, as a table, a picture, Markdown and JSON.

    benchmarks/report.py FIGURES.json [--svg FILE] [--markdown FILE]

The ratio of a model is the best other peer's time over lnnc's: above 1, lnnc is the fastest.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys

OWN = "lnnc"


def times(row):
    """Of a row's peers that ran: microseconds a call."""
    return {p: r["median_us"] for p, r in row["peers"].items() if "refused" not in r}


def ratio(row):
    """(best other peer's time / ours, that peer), or None."""
    found = times(row)
    others = {peer: value for peer, value in found.items() if peer != OWN}
    if OWN not in found or not others:
        return None
    best = min(others, key=others.get)
    return others[best] / found[OWN], best


def summary(rows):
    """One line on all ratios of rows."""
    ratios = [found[0] for found in map(ratio, rows) if found]
    if not ratios:
        return "no model that lnnc and another peer ran"
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    slower = [row["model"] for row in rows if ratio(row) and ratio(row)[0] < 1]
    text = f"best other peer / lnnc: geometric mean {mean:.1f}, least {min(ratios):.2f}"
    text += f", {len(ratios)} models"
    return text + (f"; a peer is faster on {', '.join(slower)}" if slower else "")


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def line(row):
    """A row in one line, as it is found."""
    cells = [f"{peer} {number(value)}" for peer, value in times(row).items()]
    best = ratio(row)
    tail = f"  {best[0]:.2f}x {best[1]}" if best else ""
    return f"{row['model']:30s} {row['threads']} thread(s)  {'  '.join(cells)}{tail}"


def by_threads(figures):
    found = {}
    for row in figures["rows"]:
        found.setdefault(row["threads"], []).append(row)
    return found


def peers_of(rows):
    """Those that ran at least one model."""
    every = dict.fromkeys(peer for row in rows for peer in row["peers"])
    return [
        p for p in every if any("refused" not in r["peers"].get(p, {"refused": 1}) for r in rows)
    ]


def cell(result):
    if result is None or "refused" in result:
        return "–"
    return f"{number(result['median_us'])} ({number(result['p99.9_us'])})"


def reasons(rows):
    """Of what was refused: (peer, why, models)."""
    found = {}
    for row in rows:
        for peer, result in row["peers"].items():
            if "refused" in result:
                found.setdefault((peer, result["refused"]), []).append(row["model"])
    return [(peer, why, names) for (peer, why), names in found.items()]


def names_of(names, rows):
    if len(names) == len(rows):
        return "all models"
    return ", ".join(names) if len(names) <= 8 else f"{len(names)} models"


def write_json(figures, path):
    path.write_text(json.dumps(figures, indent=1) + "\n")


def read_json(path):
    return json.loads(path.read_text())


def put(row, rows):
    """Adds a row, in place of one of the same model and threads where there is one."""
    for index, old in enumerate(rows):
        if (old["model"], old["threads"]) == (row["model"], row["threads"]):
            rows[index] = row
            return
    rows.append(row)


# --- Tables ----------------------------------------------------------------------------------


def show(figures):
    """Prints tables; plain text where rich is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return print(markdown(figures))
    wide = None if sys.stdout.isatty() else 200
    console = Console(width=wide)
    for threads, rows in by_threads(figures).items():
        table = Table(title=f"microseconds a call, median (p99.9), {threads} thread(s)")
        table.add_column("model", no_wrap=True)
        peers = peers_of(rows)
        for title in [*peers, "best other / lnnc"]:
            table.add_column(title, justify="right", no_wrap=True)
        for row in rows:
            best = ratio(row)
            color = "green" if best and best[0] >= 1 else "red"
            said = f"[{color}]{best[0]:.2f} {best[1]}[/]" if best else "–"
            table.add_row(row["model"], *(cell(row["peers"].get(p)) for p in peers), said)
        console.print(table)
        console.print(summary(rows))
        for peer, why, names in reasons(rows):
            console.print(f"{peer}: {names_of(names, rows)}: {why}", markup=False, highlight=False)


def markdown(figures):
    versions = ", ".join(f"{peer} {version}" for peer, version in figures["versions"].items())
    busy = [row for row in figures["rows"] if row["load"] > 2 * figures["machine"]["cores"]]
    errors = [r.get("error", 0) for row in figures["rows"] for r in row["peers"].values()]
    lines = [
        f"# {figures['machine']['cpu']}, {figures['machine']['cores']} cores",
        "",
        f"{figures['date']}, {figures['machine']['system']}. `{figures['command']}`:",
        "microseconds a call from Python, median of the quietest turn (p99.9 of all).",
        f"{versions}. Largest difference between outputs that were timed: {max(errors):.1g}.",
    ]
    if busy:
        names = ", ".join(row["model"] for row in busy)
        lines.append(f"Others used the machine heavily during: {names}.")
    for threads, rows in by_threads(figures).items():
        peers = peers_of(rows)
        lines += ["", f"## {threads} thread{'s' * (threads > 1)}", ""]
        lines.append("| model | " + " | ".join(peers) + " | best other / lnnc |")
        lines.append("|---" * (len(peers) + 2) + "|")
        for row in rows:
            best = ratio(row)
            cells = [row["model"], *(cell(row["peers"].get(p)) for p in peers)]
            cells.append(f"{best[0]:.2f} ({best[1]})" if best else "–")
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", summary(rows) + ".", ""]
        for peer, why, names in reasons(rows):
            lines.append(f"- {peer}, {names_of(names, rows)}: {why.replace('|', '/')}")
    return "\n".join(lines) + "\n"


# --- Picture ---------------------------------------------------------------------------------

COLORS = {
    "onnxruntime": "#1f77b4",
    "openvino": "#9467bd",
    "jax": "#2ca02c",
    "iree": "#ff7f0e",
    "tvm": "#8c564b",
    "torch": "#d62728",
}


def draw(figures, path):
    """A dot for each peer and model: how many times lnnc's time it takes, one thread."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    threads = min(by_threads(figures))
    rows = [row for row in by_threads(figures)[threads] if ratio(row)]
    rows.sort(key=lambda row: ratio(row)[0])
    plt.rcParams["svg.hashsalt"] = "lnn"  # the same figures are the same file
    plt.rcParams["svg.fonttype"] = "none"  # text, not outlines
    figure, axes = plt.subplots(figsize=(8, 1 + 0.2 * len(rows)))
    for peer in peers_of(rows):
        if peer == OWN:
            continue
        points = [
            (times(r)[peer] / times(r)[OWN], i) for i, r in enumerate(rows) if peer in times(r)
        ]
        axes.scatter(*zip(*points), s=18, color=COLORS.get(peer), label=peer, zorder=3)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_yticks(range(len(rows)), [row["model"] for row in rows], fontsize=7)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(True, axis="both", color="#dddddd", linewidth=0.5)
    axes.set_xlabel(
        f"time of a call over lnnc's, {threads} thread{'s' * (threads > 1)}; right of 1x lnnc wins"
    )
    axes.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("figures", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    figures = read_json(options.figures)
    show(figures)
    if options.svg:
        draw(figures, options.svg)
    if options.markdown:
        options.markdown.write_text(markdown(figures))


if __name__ == "__main__":
    main()

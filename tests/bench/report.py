#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table and JSON of the raw figures: report.py FOLDER JSON-FILE

FOLDER has raw-GROUP, the output of each VM run, and "unique", lines "GROUP UNIQUE-BYTES"."""
import glob
import json
import statistics
import sys

PLAIN, SHARED = "plain", "shared"
# The group of images that are not compressed, and the one whose time is the clock's.
FLAT, WALL = "plain", "wall"
# The group of images in backing files.
FILE = "file"

# What is compared: title, metric, unit, the C driver's mode, this module's mode, limit of the ratio.
ROWS = [
    ("open+close of a shared file", "open-close", "ns", PLAIN, SHARED, 1.02),
    ("cold walk, per file", "cold-walk", "ns", PLAIN, SHARED, 1.00),
    ("slab after the walk", "walk-slab", "KiB", PLAIN, SHARED, 1.00),
    ("hot pread 4 KiB", "hot-pread", "ns", PLAIN, SHARED, 1.00),
    ("hot mmap fault", "hot-fault", "ns", PLAIN, SHARED, 1.00),
    ("O_DIRECT read 4 KiB", "direct-read", "ns", PLAIN, SHARED, 1.00),
]
COMPRESSED = []
for mode in (PLAIN, SHARED):
    ROWS += [
        ("hot stat", "hot-stat", "ns", mode, mode, 1.00),
        ("cold read of a tree", "cold-read", "ns", mode, mode, 1.00),
        ("second read of a tree", "second-read", "ns", mode, mode, 1.00),
        ("read of the other image's tree", "other-image-read", "ns", mode, mode, 1.00),
        ("mount+umount", "mount-umount", "ns", mode, mode, 1.00),
    ]
    COMPRESSED += [
        ("cold read of a tree", "cold-read", "ns", mode, mode, 1.00),
        ("read of the other image's tree", "other-image-read", "ns", mode, mode, 1.00),
        ("random read 4 KiB", "random-read", "ns", mode, mode, 1.00),
    ]
# Without sharing on both sides, and with it on both.
FILES = [
    ("cold walk, per file", "cold-walk", "ns", PLAIN, PLAIN, 1.00),
    ("open+close", "open-close", "ns", PLAIN, PLAIN, 1.00),
    ("hot pread 4 KiB", "hot-pread", "ns", PLAIN, PLAIN, 1.00),
    ("hot mmap fault", "hot-fault", "ns", PLAIN, PLAIN, 1.00),
    ("memory taken by a read", "taken", "KiB", PLAIN, PLAIN, 0.55),
]
for mode in (PLAIN, SHARED):
    FILES += [
        ("cold read of a tree", "cold-read", "ns", mode, mode, 1.00),
        ("second read of a tree", "second-read", "ns", mode, mode, 1.00),
        ("read of the other image's tree", "other-image-read", "ns", mode, mode, 1.00),
        ("mount+umount", "mount-umount", "ns", mode, mode, 1.00),
    ]
CLOCK = [("cold read of a tree, by the clock", "cold-tree", "ns", PLAIN, PLAIN, None)]
# Measured only where they are asked for.
OTHER = [("first read of a tree", "cold-tree", "ns", mode, mode, 1.00) for mode in (PLAIN, SHARED)]

# Ratios are compared as they are printed, with two decimals; memory more exactly.
ROUNDED = 0.005


def memory(group, figures, unique_kib, note, ours):
    """Memory is measured against what is needed and against itself: the left figure is not the C driver's."""
    shared = figures.get(SHARED, {})
    if group == FILE:
        return
    if "cached" in shared:
        # Compressed: pages of another kind may be held for a time.
        limit = 1.01 if group == FLAT else 1.02
        yield ("cache of both trees / unique bytes" + note, "KiB", "-/shared", unique_kib, shared["cached"],
               shared["cached"] / unique_kib, limit if ours else None, 0)
    if "cached" in shared and group == FLAT:
        left = shared["cached-after-reclaim"]
        yield ("cached before / after inode reclaim" + note, "KiB", "-/shared", left, shared["cached"],
               shared["cached"] / max(left, 1), 1.00 if ours else None, 0.001)
    for mode in (PLAIN, SHARED):
        if "held" in figures.get(mode, {}):
            pages, held = figures[mode]["file-pages"], figures[mode]["held"]
            # What sharing keeps is there as long as its files are; what decoding keeps is the question here.
            limit = 1.02 if ours and mode == PLAIN else None
            yield ("memory taken by a read / file pages" + note, "KiB", "-/" + mode, pages, pages + held,
                   (pages + held) / pages, limit, 0)


def rows(group, raw, unique_kib):
    """Yields title, unit, modes, C's figure, ours, their ratio, its limit and the tolerance of that."""
    c, ours = raw["c"][group], raw["rust"][group]
    yield from memory(group, ours, unique_kib, "", True)
    yield from memory(group, c, unique_kib, " (C driver)", False)
    table = {FLAT: ROWS, WALL: CLOCK, FILE: FILES}.get(group, COMPRESSED)
    measured = {metric for figures in [*c.values(), *ours.values()] for metric in figures}
    for title, metric, unit, c_mode, our_mode, limit in table + (OTHER if group != WALL else []):
        if metric in measured:
            left, right = c[c_mode].get(metric), ours[our_mode].get(metric)
            yield title, unit, f"{c_mode}/{our_mode}", left, right, right / left if left and right else None, limit, ROUNDED


def show(value, form):
    return "-" if value is None else format(value, form)


def read(folder):
    """driver: group: mode: metric: figure, the median where there are several of one."""
    found, unique = {}, {}
    for name in glob.glob(folder + "/raw-*"):
        with open(name, encoding="ascii") as lines:
            for label, metric, value in map(str.split, lines):
                driver, group, mode = label.split("/")
                modes = found.setdefault(driver, {}).setdefault(group, {PLAIN: {}, SHARED: {}})
                modes[mode].setdefault(metric, []).append(int(value))
    with open(folder + "/unique", encoding="ascii") as lines:
        for group, value in map(str.split, lines):
            unique[group] = int(value)
    raw = {driver: {group: {mode: {metric: statistics.median(values) for metric, values in metrics.items()}
                            for mode, metrics in modes.items()}
                    for group, modes in groups.items()}
           for driver, groups in found.items()}
    return raw, unique


def main(folder, json_file):
    raw, unique = read(folder)
    if "c" not in raw or "rust" not in raw:
        print(json.dumps(raw, indent=2))
        return "bench: a table needs both drivers"

    table, over = [], 0
    print(f"{'images':<8} {'metric':<48} {'C/ours with':<14} {'C':>14} {'ours':>14}     {'ratio':>6} {'limit':>6}")
    for group in sorted(raw["c"], key=lambda name: (name != FLAT, name == WALL, name)):
        for title, unit, modes, c, ours, ratio, limit, tolerance in rows(group, raw, unique[group] // 1024):
            beyond = limit is not None and (ratio is None or ratio >= limit + tolerance)
            over += beyond
            print(f"{group:<8} {title:<48} {modes:<14} {show(c, ',.0f'):>14} {show(ours, ',.0f'):>14} {unit:<3} "
                  f"{show(ratio, '.2f'):>6} {show(limit, '.2f'):>6} {'OVER' if beyond else ''}".rstrip())
            table.append({"images": group, "metric": title, "modes": modes, "unit": unit, "c": c, "ours": ours,
                          "ratio": ratio and round(ratio, 4), "limit": limit})
    with open(json_file, "w", encoding="ascii") as out:
        json.dump({"unique_bytes": unique, "table": table, "raw": raw}, out, indent=2)
    return f"bench: {over} beyond the limit" if over else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table and JSON of the raw figures: report.py RAW UNIQUE-BYTES JSON-FILE"""
import json
import sys

PLAIN, SHARED = "plain", "shared"

# What is compared: title, metric, unit, the C driver's mode, this module's mode, limit of the ratio.
ROWS = [
    ("open+close of a shared file", "open-close", "ns", PLAIN, SHARED, 1.02),
    ("cold walk, per file", "cold-walk", "ns", PLAIN, SHARED, 1.00),
    ("slab after the walk", "walk-slab", "KiB", PLAIN, SHARED, 1.00),
    ("hot pread 4 KiB", "hot-pread", "ns", PLAIN, SHARED, 1.00),
    ("hot mmap fault", "hot-fault", "ns", PLAIN, SHARED, 1.00),
    ("O_DIRECT read 4 KiB", "direct-read", "ns", PLAIN, SHARED, 1.00),
]
for mode in (PLAIN, SHARED):
    ROWS += [
        ("hot stat", "hot-stat", "ns", mode, mode, 1.00),
        ("cold read of a tree", "cold-read", "ns", mode, mode, 1.00),
        ("second read of a tree", "second-read", "ns", mode, mode, 1.00),
        ("read of the other image's tree", "other-image-read", "ns", mode, mode, 1.00),
        ("mount+umount", "mount-umount", "ns", mode, mode, 1.00),
    ]


# Ratios are compared as they are printed, with two decimals; memory more exactly.
ROUNDED = 0.005


def rows(raw, unique_kib):
    """Yields title, unit, modes, C's figure, ours, their ratio, its limit and the tolerance of that."""
    for driver, note in (("rust", ""), ("c", " (C driver)")):
        figures = raw[driver + "-shared"]
        cached, left = figures["cached"], figures["cached-after-reclaim"]
        # The left figure is not the C driver's: memory is measured against what is needed, and against itself.
        yield ("cache of both trees / unique bytes" + note, "KiB", "-/shared", unique_kib, cached,
               cached / unique_kib, None if note else 1.01, 0)
        yield ("cached before / after inode reclaim" + note, "KiB", "-/shared", left, cached,
               cached / max(left, 1), None if note else 1.00, 0.001)
    for title, metric, unit, c_mode, our_mode, limit in ROWS:
        c, ours = raw["c-" + c_mode].get(metric), raw["rust-" + our_mode].get(metric)
        yield title, unit, f"{c_mode}/{our_mode}", c, ours, ours / c if c and ours else None, limit, ROUNDED


def show(value, form):
    return "-" if value is None else format(value, form)


def main(raw_file, unique_bytes, json_file):
    raw = {}
    with open(raw_file, encoding="ascii") as lines:
        for label, metric, value in map(str.split, lines):
            raw.setdefault(label, {})[metric] = int(value)
    if "c-shared" not in raw or "rust-shared" not in raw:
        print(json.dumps(raw, indent=2))
        return "bench: a table needs both drivers"

    table, over = [], 0
    print(f"{'metric':<48} {'C/ours with':<14} {'C':>13} {'ours':>13}     {'ratio':>6} {'limit':>6}")
    for title, unit, modes, c, ours, ratio, limit, tolerance in rows(raw, int(unique_bytes) // 1024):
        beyond = limit is not None and (ratio is None or ratio >= limit + tolerance)
        over += beyond
        print(f"{title:<48} {modes:<14} {show(c, ','):>13} {show(ours, ','):>13} {unit:<3} {show(ratio, '.2f'):>6} "
              f"{show(limit, '.2f'):>6} {'OVER' if beyond else ''}".rstrip())
        table.append({"metric": title, "modes": modes, "unit": unit, "c": c, "ours": ours,
                      "ratio": ratio and round(ratio, 4), "limit": limit})
    with open(json_file, "w", encoding="ascii") as out:
        json.dump({"unique_bytes": int(unique_bytes), "table": table, "raw": raw}, out, indent=2)
    return f"bench: {over} beyond the limit" if over else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

// SPDX-License-Identifier: GPL-2.0

//! The unified space: one range of byte addresses for all devices of an image.
//!
//! The primary device begins at 0. Each extra device may have a window, which hides what the primary device has there.

use core::ops::Range;

/// Which device byte `addr` is on, and the addresses around it that are on the same one in one run.
///
/// `windows` are those of the extra devices: of windows that overlap, the first one counts. `None`: it is the primary
/// device.
pub(crate) fn owner<D>(
    windows: impl Iterator<Item = (D, Range<u64>)>,
    addr: u64,
) -> (Option<D>, Range<u64>) {
    let mut run = 0..u64::MAX;
    for (device, window) in windows {
        if window.contains(&addr) {
            let both = run.start.max(window.start)..run.end.min(window.end);
            return (Some(device), both);
        }
        if window.is_empty() {
            continue;
        }
        match window.end <= addr {
            true => run.start = run.start.max(window.end),
            false => run.end = run.end.min(window.start),
        }
    }
    (None, run)
}

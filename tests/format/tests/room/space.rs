// SPDX-License-Identifier: GPL-2.0

//! Windows of the unified space.

use crate::format::space::owner;
use core::ops::Range;

/// Which window has `addr`, counted from 1, and where it has it in one run.
fn find(windows: &[Range<u64>], addr: u64) -> (usize, Range<u64>) {
    let (device, run) = owner((1..).zip(windows.iter().cloned()), addr);
    assert!(run.contains(&addr) || addr == u64::MAX);
    (device.unwrap_or(0), run)
}

#[test]
fn one_device() {
    assert_eq!(find(&[], 0), (0, 0..u64::MAX));
    assert_eq!(find(&[], u64::MAX), (0, 0..u64::MAX));
}

#[test]
fn windows_one_behind_the_other() {
    let windows = [100..200, 300..400];
    assert_eq!(find(&windows, 0), (0, 0..100));
    assert_eq!(find(&windows, 99), (0, 0..100));
    assert_eq!(find(&windows, 100), (1, 100..200));
    assert_eq!(find(&windows, 199), (1, 100..200));
    assert_eq!(find(&windows, 200), (0, 200..300));
    assert_eq!(find(&windows, 399), (2, 300..400));
    assert_eq!(find(&windows, 400), (0, 400..u64::MAX));
}

#[test]
fn of_windows_that_overlap_the_first_counts() {
    let windows = [100..200, 50..300, 150..250];
    assert_eq!(find(&windows, 49), (0, 0..50));
    assert_eq!(find(&windows, 50), (2, 50..100));
    assert_eq!(find(&windows, 150), (1, 100..200));
    assert_eq!(find(&windows, 220), (2, 200..300));
    assert_eq!(find(&windows, 300), (0, 300..u64::MAX));
}

#[test]
fn windows_to_the_end_and_without_bytes() {
    let windows = [70..70, 100..u64::MAX, 0..0];
    assert_eq!(find(&windows, 70), (0, 0..100));
    assert_eq!(find(&windows, u64::MAX - 1), (2, 100..u64::MAX));
    assert_eq!(find(&windows, u64::MAX), (0, u64::MAX..u64::MAX));
}

// SPDX-License-Identifier: GPL-2.0

//! Damaged directories over bytes (rows 29 to 32).

use crate::bytes::Bytes;
use crate::dir::directory;
use crate::dir::dirent;
use crate::dir::find;
use crate::dir::list_from;
use crate::dir::two_blocks;
use crate::dir::B;
use crate::format::Error;

/// Entries whose names are all good, to spoil.
fn good() -> Bytes {
    directory(&["aa", "bb", "cc", "dd", "ee"].map(|name| name.as_bytes().to_vec()))
}

const NAMEOFF: usize = 8;

#[track_caller]
fn bad_header(dir: &mut Bytes) {
    let corrupt = Error::corrupt("invalid de[0].nameoff");
    assert_eq!(find(dir, b"bb"), Err(corrupt));
    assert_eq!(list_from(dir, 0), (vec![], 0, Some(corrupt)));
}

#[test]
fn rows_29_and_31_first_nameoff() {
    for nameoff in [0, 1, 11, 13, 59, 61, 512, 516, 0xffff] {
        bad_header(good().u16(NAMEOFF, nameoff));
    }
    // Beyond the directory's end, though in the block.
    bad_header(good().u16(NAMEOFF, 72));
    bad_header(good().u16(NAMEOFF, 504));
    // A block that is too small for any entry.
    for len in [1, 11, 12] {
        let mut dir = good();
        dir.data.truncate(len);
        bad_header(&mut dir);
    }
    // In the second block the first one is still listed.
    let mut dir = two_blocks();
    dir.u16(B + NAMEOFF, 0);
    let (found, end, error) = list_from(&mut dir, 0);
    assert_eq!(end, B as u64);
    assert!(!found.is_empty() && error.is_some());
}

/// The entry number `bad` is: those before it are listed, and the position stays at it.
#[track_caller]
fn bad_entry(dir: &mut Bytes, bad: usize) {
    let bogus = Error::corrupt("bogus dirent");
    let pos = 12 * bad as u64;
    let (found, end, error) = list_from(dir, 0);
    assert_eq!((found.len(), end, error), (bad, pos, Some(bogus)));
    let (found, end, error) = list_from(dir, pos);
    assert_eq!((found.len(), end, error), (0, pos, Some(bogus)));
}

#[test]
fn rows_30_and_32_names() {
    let entry = 24 + NAMEOFF;
    let next = 36 + NAMEOFF;
    let bogus = Err(Error::corrupt("bogus dirent"));
    // Before the names, at the one before, behind them, beyond the block: that one has no end.
    for (nameoff, bad) in [
        (0, 1),
        (25, 1),
        (59, 1),
        (62, 1),
        (71, 1),
        (400, 1),
        (0xffff, 1),
        (70, 2),
    ] {
        let mut dir = good();
        dir.u16(entry, nameoff);
        bad_entry(&mut dir, bad);
        if nameoff != 62 {
            assert_eq!(find(&mut dir, b"cc"), bogus, "{nameoff}");
        }
    }
    // Empty, or of negative length.
    for nameoff in [64, 63, 60] {
        let mut dir = good();
        dir.u16(next, nameoff);
        bad_entry(&mut dir, 2);
        assert_eq!(find(&mut dir, b"cc"), bogus, "{nameoff}");
    }
    // With a byte that no name has.
    for byte in [0, b'/'] {
        bad_entry(good().u8(65, byte), 2);
    }
}

#[test]
fn row_30_name_lengths() {
    // 300 bytes between two names.
    let mut dir = Bytes::zeroed(400);
    dir.u16(NAMEOFF, 24).u16(12 + NAMEOFF, 324);
    dir.data[24..].fill(b'a');
    let bogus = Some(Error::corrupt("bogus dirent"));
    assert_eq!(list_from(&mut dir, 0), (vec![], 0, bogus));
    // The last name of a block: up to 255 bytes, a NUL may follow.
    for (size, end, good) in [
        (12 + 255, 400, true),
        (12 + 256, 400, false),
        (512, 12 + 255, true),
        (512, 12 + 256, false),
    ] {
        let mut dir = Bytes::zeroed(size);
        dir.u16(NAMEOFF, 12);
        let end = end.min(size);
        dir.data[12..end].fill(b'a');
        let (found, _, error) = list_from(&mut dir, 0);
        assert_eq!(
            found.first().map(|(.., name)| name.len()),
            good.then_some(255)
        );
        assert_eq!(error, bogus.filter(|_| !good));
        let found = find(&mut dir, &[b'a'; 255]).expect("no error");
        assert_eq!(found.is_some(), good);
    }
    // The last name is empty.
    let mut dir = Bytes::zeroed(20);
    dir.u16(NAMEOFF, 12);
    assert_eq!(list_from(&mut dir, 0), (vec![], 0, bogus));
}

/// Row 32: what the order of names promises is not believed when it would name a file.
#[test]
fn row_32_unsorted_names() {
    let names = ["aab", "aac", "xxx", "aae", "aaf", "aag", "aah"];
    let mut dir = directory(&names.map(|name| name.as_bytes().to_vec()));
    // The search takes "aa" of the middle one for granted between its neighbours.
    for name in ["aax", "aab", "aac", "xxx", "aae", "aaf", "aag", "aah"] {
        let found = find(&mut dir, name.as_bytes());
        let right = names.iter().position(|other| *other == name).map(dirent);
        assert!(
            matches!(found, Ok(None) | Err(_)) || found == Ok(right),
            "{name}: {found:?}"
        );
    }
    // A search that gets as far as "known to be equal" on both sides.
    let names = [
        "aaa1", "aaa2", "aaa3", "bbb4", "aaa5", "aaa6", "aaa7", "aaa8",
    ];
    let mut dir = directory(&names.map(|name| name.as_bytes().to_vec()));
    for i in 0..=9 {
        let name = format!("aaa{i}");
        let found = find(&mut dir, name.as_bytes());
        let right = names.iter().position(|other| *other == name).map(dirent);
        assert!(
            matches!(found, Ok(None) | Err(_)) || found == Ok(right),
            "{name}: {found:?}"
        );
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Long prefixes of extended attributes' names, and fingerprints, which have one (row 15).

use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::xxh32;
use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::superblock::Superblock;
use crate::format::xattr::read_prefixes;
use crate::format::xattr::Found;
use crate::format::xattr::Prefix;
use crate::format::Error;
use crate::format::Kind;
use crate::xattr::entry;
use crate::xattr::value;
use crate::xattr::with_filter;
use crate::xattr::Case;

/// A table of long prefixes from byte 64 on.
fn prefixes(count: u8, records: &[&[u8]]) -> (Superblock, Bytes) {
    let mut space = Bytes::zeroed(64);
    for record in records {
        let [lo, hi, ..] = record.len().to_le_bytes();
        space.data.extend_from_slice(&[lo, hi]);
        space.data.extend_from_slice(record);
        space
            .data
            .resize(space.data.len().next_multiple_of(4), 0xcc);
    }
    let sb = superblock(|image| {
        image
            .u32(sb::COMPAT, 0x20)
            .u8(sb::PREFIX_COUNT, count)
            .u32(sb::PREFIX_START, 16)
            .u8(sb::ISHARE, count - 1);
    });
    (sb, space)
}

fn load(count: u8, records: &[&[u8]]) -> Result<Vec<Prefix>, Error> {
    let (sb, mut space) = prefixes(count, records);
    let mut found = Vec::new();
    read_prefixes(&mut space, &sb, |prefix| {
        found.push(prefix);
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn row_15_prefix_records() {
    let longest = [b'p'; 256];
    assert!(load(3, &[b"\x04overlay.", b"\x01", &longest]).is_ok());
    let too_long = [b'p'; 257];
    for bad in [&b""[..], &too_long] {
        let error = load(2, &[b"\x04overlay.", bad]).err();
        assert_eq!(error.map(|error| error.kind), Some(Kind::Corrupt));
    }
    let error = load(2, &[b"\x04overlay."]).err();
    assert_eq!(error.map(|error| error.kind), Some(Kind::Errno(EIO)));
    // An error of the sink ends it.
    let (sb, mut space) = prefixes(1, &[b"\x04overlay."]);
    let full = Error::os(12, "no memory");
    assert_eq!(read_prefixes(&mut space, &sb, |_| Err(full)), Err(full));
}

#[test]
fn long_prefixes() {
    let mut case = Case::new(
        0,
        &[entry(0x81, "", b"shared")],
        &[
            entry(0x80, "opaque", b"y"),
            entry(0x82, "x", b"none"),
            entry(0xff, "x", b"none"),
            entry(4, "overlay.z", b"z"),
        ],
    );
    case.prefixes = load(2, &[b"\x04overlay.", b"\x01whole"]).expect("good prefixes");
    assert_eq!(
        case.list(),
        Ok(
            ["trusted.overlay.opaque", "trusted.overlay.z", "user.whole"]
                .map(String::from)
                .to_vec()
        )
    );
    assert_eq!(case.get(4, "overlay.opaque"), value("y"));
    assert_eq!(case.get(4, "overlay.z"), value("z"));
    assert_eq!(case.get(1, "whole"), value("shared"));
    for (index, name) in [
        (1, "overlay.opaque"),
        (4, "opaque"),
        (4, "overlay."),
        (4, "overlay"),
        (1, "x"),
    ] {
        assert_eq!(case.get(index, name), Ok(None), "{index} {name}");
    }
}

#[test]
fn fingerprints() {
    let get = |case: &mut Case, len: usize| {
        let mut buf = vec![0; len];
        let found = case.run(|mut xattrs| xattrs.fingerprint(Some(&mut buf), xxh32));
        let size = case.run(|mut xattrs| xattrs.fingerprint(None, xxh32));
        (found, size, buf)
    };
    let records: [&[u8]; 2] = [b"\x01other", b"\0erofs.fp\0cut"];
    let of = |value: &[u8]| {
        // Under its prefix, the infix cut at the NUL: an entry of its own is what matches.
        let mut case = Case::new(0, &[], &[entry(0, "erofs.fp", value)]);
        (case.sb, _) = prefixes(2, &records);
        case.prefixes = load(2, &records).expect("good prefixes");
        case
    };
    let mut case = of(b"sha256:x");
    assert_eq!(get(&mut case, 64).0, Ok(Found::Value(8)));
    assert_eq!(get(&mut case, 64).2[..8], *b"sha256:x");
    assert_eq!(get(&mut case, 7).0, Ok(Found::TooSmall(8)));
    assert_eq!(get(&mut case, 7).1, Ok(Found::Value(8)));
    assert_eq!(case.list(), Ok(vec![]), "hidden");
    for (len, usable) in [(0, false), (1, true), (4096, true), (4097, false)] {
        let mut case = of(&vec![1; len]);
        let found = if usable {
            Found::Value(len)
        } else {
            Found::Missing
        };
        assert_eq!(get(&mut case, 65535).0, Ok(found), "{len}");
        let small = if usable {
            Found::TooSmall(len)
        } else {
            Found::Missing
        };
        assert_eq!(get(&mut case, 0).0, Ok(small), "{len}");
    }
    // As mkfs stores it: the prefix is the whole name.
    let mut case = Case::new(0, &[], &[entry(0x80, "", b"digest")]);
    (case.sb, _) = prefixes(1, &[b"\0erofs.fingerprint.v1"]);
    case.prefixes = load(1, &[b"\0erofs.fingerprint.v1"]).expect("good prefixes");
    assert_eq!(get(&mut case, 64).0, Ok(Found::Value(6)));
    // No prefix table at hand, no feature, no xattrs.
    case.prefixes.clear();
    assert_eq!(get(&mut case, 64).0, Ok(Found::Missing));
    case.sb = with_filter(false);
    assert_eq!(get(&mut case, 64).0, Ok(Found::Missing));
}

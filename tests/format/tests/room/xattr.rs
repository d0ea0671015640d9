// SPDX-License-Identifier: GPL-2.0

//! Extended attributes over bytes (rows 34 to 38).

use crate::bytes::sb;
use crate::bytes::superblock;
use crate::bytes::xxh32;
use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::inode::Body;
use crate::format::inode::Layout;
use crate::format::superblock::Superblock;
use crate::format::xattr::filter_bit;
use crate::format::xattr::filter_seed;
use crate::format::xattr::index;
use crate::format::xattr::may_have_acls;
use crate::format::xattr::prefix_name;
use crate::format::xattr::Found;
use crate::format::xattr::Prefix;
use crate::format::xattr::Xattrs;
use crate::format::Error;
use crate::format::Kind;

#[test]
fn vectors() {
    assert_eq!(xxh32(b"", 0), 0x02cc_5d05);
    assert_eq!(xxh32(b"abc", 0), 0x32d1_53ff);
    assert_eq!(xxh32(&[b'a'; 40], 0x25bb_e08f), 0x8621_b058);
    assert_eq!(xxh32(b"mime_type", filter_seed(index::USER)), 0xb688_ac77);
    for (index, name, bit) in [
        (index::POSIX_ACL_ACCESS, "", 30),
        (index::POSIX_ACL_DEFAULT, "", 21),
        (index::USER, "mime_type", 23),
        (index::SECURITY, "selinux", 11),
        (index::TRUSTED, "overlay.opaque", 20),
    ] {
        assert_eq!(
            filter_bit(xxh32, index, name.as_bytes()),
            1 << bit,
            "{name}"
        );
    }
    assert_eq!(filter_seed(255), 0x25bb_e18e);
}

#[test]
fn prefixes_of_indexes() {
    let named: Vec<_> = (0..=255).filter(|&i| prefix_name(i).is_some()).collect();
    assert_eq!(named, [1, 2, 3, 4, 6]);
    assert_eq!(prefix_name(index::TRUSTED), Some("trusted."));
}

/// Where the inode's xattrs are.
const POS: usize = 4096 + 32;
/// Where ids of shared ones count from.
const SHARED: usize = 2 * 4096;

/// An inode with xattrs.
pub(super) struct Case {
    pub(super) sb: Superblock,
    space: Bytes,
    shared: Bytes,
    size: u32,
    pub(super) prefixes: Vec<Prefix>,
}

pub(super) fn entry(index: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let [len, ..] = name.len().to_le_bytes();
    let [lo, hi, ..] = value.len().to_le_bytes();
    let mut entry = vec![len, index, lo, hi];
    entry.extend_from_slice(name.as_bytes());
    entry.extend_from_slice(value);
    entry.resize(entry.len().next_multiple_of(4), 0);
    entry
}

impl Case {
    pub(super) fn new(filter: u32, shared: &[Vec<u8>], inline: &[Vec<u8>]) -> Self {
        let mut space = Bytes::zeroed(2 * 4096 + 300_000);
        let [count, ..] = shared.len().to_le_bytes();
        space
            .u32(POS, filter)
            .u8(POS + 4, count)
            .put(POS + 5, &[0xee; 7]);
        let mut at = POS + 12;
        let mut pool = Bytes::zeroed(SHARED + 16);
        for entry in shared {
            let id = (pool.data.len() - SHARED) / 4;
            space.put(at, &id.to_le_bytes()[..4]);
            pool.data.extend_from_slice(entry);
            at += 4;
        }
        for entry in inline {
            space.put(at, entry);
            at += entry.len();
        }
        let size = u32::try_from(at - POS).expect("a small body");
        Self {
            sb: with_filter(true),
            space,
            shared: pool,
            size,
            prefixes: Vec::new(),
        }
    }

    fn body(&self) -> Body {
        Body {
            layout: Layout::Plain { start: None },
            xattr_pos: POS as u64,
            xattr_size: self.size,
            dot_omitted: false,
        }
    }

    pub(super) fn run<T>(&mut self, use_it: impl FnOnce(Xattrs<'_, Bytes, Bytes>) -> T) -> T {
        let body = self.body();
        use_it(Xattrs {
            inline: &mut self.space,
            shared: &mut self.shared,
            sb: &self.sb,
            body: &body,
            prefixes: &self.prefixes,
        })
    }

    pub(super) fn get(&mut self, index: u8, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut value = vec![0; 65535];
        let size = self.run(|mut xattrs| xattrs.get(index, name.as_bytes(), None, xxh32))?;
        let found =
            self.run(|mut xattrs| xattrs.get(index, name.as_bytes(), Some(&mut value), xxh32))?;
        assert_eq!(size, found, "asking for the size is the same");
        Ok(match found {
            Found::Missing => None,
            Found::Value(len) => Some(value[..len].to_vec()),
            Found::TooSmall(_) => panic!("no value is larger than 65535 bytes"),
        })
    }

    pub(super) fn list(&mut self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        self.run(|mut xattrs| {
            xattrs.list(|name| {
                let tail = [name.infix, name.suffix].concat();
                let prefix = prefix_name(name.index).expect("a visible name");
                names.push(prefix.to_owned() + &String::from_utf8_lossy(&tail));
                Ok(())
            })
        })?;
        Ok(names)
    }

    #[track_caller]
    fn fails(&mut self, kind: Kind) {
        assert_eq!(
            self.get(1, "none").err().map(|error| error.kind),
            Some(kind)
        );
        assert_eq!(self.list().err().map(|error| error.kind), Some(kind));
    }
}

pub(super) fn with_filter(filter: bool) -> Superblock {
    superblock(|image| {
        image
            .u32(sb::COMPAT, if filter { 4 } else { 0 })
            .u32(sb::XATTR, 2);
    })
}

pub(super) fn value(text: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(Some(text.as_bytes().to_vec()))
}

#[test]
fn inline_then_shared() {
    let mut case = Case::new(
        0,
        &[
            entry(1, "both", b"shared"),
            entry(4, "t", b""),
            entry(6, "selinux", b"label\0"),
        ],
        &[
            entry(1, "a", b"1"),
            entry(1, "both", b"inline"),
            entry(2, "", b"acl"),
        ],
    );
    assert_eq!(
        case.list(),
        Ok([
            "user.a",
            "user.both",
            "system.posix_acl_access",
            "user.both",
            "trusted.t",
            "security.selinux"
        ]
        .map(String::from)
        .to_vec())
    );
    assert_eq!(case.get(1, "a"), value("1"));
    assert_eq!(case.get(1, "both"), value("inline"));
    assert_eq!(case.get(2, ""), value("acl"));
    assert_eq!(case.get(4, "t"), value(""));
    assert_eq!(case.get(6, "selinux"), value("label\0"));
    for (index, name) in [
        (1, ""),
        (1, "aa"),
        (1, "t"),
        (4, "a"),
        (4, "T"),
        (3, ""),
        (1, "bot"),
    ] {
        assert_eq!(case.get(index, name), Ok(None), "{index} {name}");
    }
}

#[test]
fn buffers() {
    let mut case = Case::new(0, &[], &[entry(1, "a", b"12345")]);
    for len in 0..8 {
        let mut buf = vec![b'x'; len];
        let found = case.run(|mut xattrs| xattrs.get(1, b"a", Some(&mut buf), xxh32));
        if len < 5 {
            assert_eq!(found, Ok(Found::TooSmall(5)));
            assert_eq!(buf, vec![b'x'; len]);
        } else {
            assert_eq!(found, Ok(Found::Value(5)));
            assert_eq!(buf[..5], *b"12345");
        }
    }
}

#[test]
fn large_names_and_values() {
    let name = "n".repeat(255);
    let large = vec![7; 65535];
    let mut case = Case::new(
        0,
        &[entry(1, &name, &large)],
        &[entry(4, &name, &large), entry(1, "z", b"z")],
    );
    assert_eq!(case.get(1, &name), Ok(Some(large.clone())));
    assert_eq!(case.get(4, &name), Ok(Some(large)));
    assert_eq!(case.get(1, "z"), value("z"));
    assert_eq!(case.get(1, &name[1..]), Ok(None));
    // A difference in any byte is seen.
    for at in 0..255 {
        let mut other = name.clone().into_bytes();
        other[at] = b'm';
        let other = String::from_utf8(other).expect("ASCII");
        assert_eq!(case.get(1, &other), Ok(None));
    }
    let error = case.get(1, &"n".repeat(256)).err();
    assert_eq!(error.map(|error| error.errno()), Some(34));
}

#[test]
fn no_xattrs() {
    let mut case = Case::new(0, &[], &[]);
    case.size = 0;
    assert_eq!(case.get(1, "a"), Ok(None));
    assert_eq!(case.list(), Ok(vec![]));
    assert_eq!(case.space.reads, 0);
}

#[test]
fn padding_is_skipped() {
    let mut case = Case::new(0, &[], &[vec![0; 40], entry(1, "a", b"1"), vec![0; 8]]);
    assert_eq!(case.list(), Ok(vec!["user.a".into()]));
    assert_eq!(case.get(1, "a"), value("1"));
}

#[test]
fn hidden_names() {
    let hidden = [0, 5, 7, 42, 127].map(|index| entry(index, "hidden", b"1"));
    let mut case = Case::new(0, &hidden, &hidden);
    assert_eq!(case.list(), Ok(vec![]));
}

#[test]
fn filter() {
    let entries = [entry(1, "mime_type", b"text")];
    for filter in [1 << 23, u32::MAX] {
        let mut case = Case::new(filter, &[], &entries);
        assert_eq!(case.get(1, "mime_type"), Ok(None));
        assert_eq!(case.list(), Ok(vec!["user.mime_type".into()]));
        case.sb = with_filter(false);
        assert_eq!(case.get(1, "mime_type"), value("text"));
    }
    let mut case = Case::new(!(1 << 23), &[], &entries);
    assert_eq!(case.get(1, "mime_type"), value("text"));
    // It answers before anything behind the header is looked at.
    case.space.u16(POS + 14, 0xffff);
    assert_eq!(case.get(6, "selinux"), Ok(None));
}

#[test]
fn acls_that_cannot_be() {
    let acls = 1 << 30 | 1 << 21;
    let may = |case: &mut Case| {
        let body = case.body();
        may_have_acls(&mut case.space, &case.sb, &body)
    };
    for (filter, expected) in [
        (0, true),
        (1 << 30, true),
        (1 << 21, true),
        (acls, false),
        (u32::MAX, false),
        (!acls, true),
    ] {
        let mut case = Case::new(filter, &[], &[entry(2, "", b"acl")]);
        assert_eq!(may(&mut case), expected, "{filter:x}");
        // Nothing tells, unless there are no xattrs at all.
        case.sb = with_filter(false);
        assert!(may(&mut case));
        case.size = 0;
        case.space.reads = 0;
        assert!(!may(&mut case));
        assert_eq!(case.space.reads, 0);
    }
    // A filter that cannot be read tells nothing either.
    let mut case = Case::new(acls, &[], &[]);
    case.space.data.truncate(POS + 2);
    assert!(may(&mut case));
}

#[test]
fn row_34_header_only() {
    let mut case = Case::new(0, &[], &[]);
    assert_eq!(case.size, 12);
    case.fails(Kind::Unsupported);
}

#[test]
fn row_35_shared_count() {
    let mut case = Case::new(0, &[], &[entry(1, "a", b"1")]);
    assert_eq!(case.size, 20);
    for (count, good) in [(2, true), (3, false), (255, false)] {
        case.space
            .u8(POS + 4, count)
            .u32(POS + 12, 4)
            .u32(POS + 16, 4);
        if good {
            assert_eq!(
                case.get(1, "none").err().map(|error| error.errno()),
                Some(EIO)
            );
        } else {
            case.fails(Kind::Corrupt);
        }
    }
}

#[test]
fn row_36_entry_beyond_the_body() {
    let mut case = Case::new(0, &[], &[entry(1, "a", b"1"), entry(1, "b", b"2")]);
    case.size -= 4;
    case.fails(Kind::Corrupt);
    // The ones before it are there.
    assert_eq!(case.get(1, "a"), value("1"));
    let mut case = Case::new(0, &[], &[entry(1, "a", b"1")]);
    case.space.u16(POS + 14, 65535);
    case.fails(Kind::Corrupt);
    assert_eq!(
        case.get(1, "a").err().map(|error| error.kind),
        Some(Kind::Corrupt)
    );
}

#[test]
fn row_37_metabox_that_is_not_there() {
    let mut case = Case::new(0, &[], &[entry(1, "a", b"1")]);
    case.sb = superblock(|image| {
        image.u32(sb::COMPAT, 8);
    });
    case.fails(Kind::Corrupt);
    assert_eq!(case.get(1, "a"), value("1"), "found before");
    case.sb = superblock(|image| {
        image
            .u32(sb::COMPAT, 8)
            .u32(sb::INCOMPAT, 0x100)
            .u8(sb::EXTSLOTS, 1);
    });
    assert_eq!(case.get(1, "none"), Ok(None));
}

#[test]
fn row_38_shared_entry_beyond_its_space() {
    for id in [100, u32::MAX] {
        let mut case = Case::new(0, &[entry(1, "a", b"1")], &[]);
        case.space.u32(POS + 12, id);
        case.fails(Kind::Errno(EIO));
    }
    // Its name and its value as well.
    let mut case = Case::new(0, &[entry(1, "a", b"1")], &[]);
    case.shared.data.truncate(SHARED + 16 + 5);
    assert_eq!(case.get(1, "a").err().map(|error| error.errno()), Some(EIO));
    case.shared.data.truncate(SHARED + 16 + 4);
    assert_eq!(case.get(1, "a").err().map(|error| error.errno()), Some(EIO));
    assert_eq!(case.list().err().map(|error| error.errno()), Some(EIO));
}

// SPDX-License-Identifier: GPL-2.0

//! Directories over bytes.

use crate::bytes::Bytes;
use crate::bytes::EIO;
use crate::format::dir::dot_is_due;
use crate::format::dir::lookup;
use crate::format::dir::Block;
use crate::format::dir::Blocks;
use crate::format::dir::Dirent;
use crate::format::dir::NameBuf;
use crate::format::dir::View;
use crate::format::dir::NAME_LEN;
use crate::format::inode::Nid;
use crate::format::BlockBits;
use crate::format::Error;
use std::cell::Cell;

pub(super) const B: usize = 512;

fn bits() -> BlockBits {
    BlockBits::new(9).expect("512-byte blocks")
}

/// What the directories here say of the name number `i`.
pub(super) fn dirent(i: usize) -> Dirent {
    Dirent {
        nid: Nid(1000 + i as u64),
        file_type: 1 + i.to_le_bytes()[0] % 7,
    }
}

/// Writes one block with the names numbered from `first` on; a last block ends with its last name.
fn block(first: usize, names: &[Vec<u8>], last: bool) -> Vec<u8> {
    let mut block = Vec::new();
    let mut nameoff = 12 * names.len();
    for (i, name) in names.iter().enumerate() {
        let dirent = dirent(first + i);
        block.extend_from_slice(&dirent.nid.0.to_le_bytes());
        let [lo, hi, ..] = nameoff.to_le_bytes();
        block.extend_from_slice(&[lo, hi, dirent.file_type, 0xaa]);
        nameoff += name.len();
    }
    block.extend(names.concat());
    assert!(block.len() <= B);
    if !last {
        block.resize(B, 0);
    }
    block
}

/// Writes a directory as mkfs does: blocks as full as they get.
pub(super) fn directory(names: &[Vec<u8>]) -> Bytes {
    let mut data = Vec::new();
    let mut first = 0;
    while first < names.len() {
        let mut used = 0;
        let fit = names[first..].iter().take_while(|name| {
            used += 12 + name.len();
            used <= B
        });
        let end = first + fit.count();
        data.extend(block(first, &names[first..end], end == names.len()));
        first = end;
    }
    Bytes::new(data)
}

/// A directory with more names than one block has room for.
pub(super) fn two_blocks() -> Bytes {
    let names: Vec<_> = (0..60)
        .map(|i| format!("file-{i:04}").into_bytes())
        .collect();
    directory(&names)
}

pub(super) fn find(dir: &mut Bytes, name: &[u8]) -> Result<Option<Dirent>, Error> {
    let size = dir.data.len() as u64;
    lookup(dir, size, bits(), name)
}

/// Entries with their positions, the position where the listing ended, and the error if one did.
pub(super) type Listing = (Vec<(u64, Dirent, Vec<u8>)>, u64, Option<Error>);

/// Lists from `pos` on, as the VFS part does.
pub(super) fn list_from(dir: &mut Bytes, mut pos: u64) -> Listing {
    let size = dir.data.len() as u64;
    let mut found = Vec::new();
    while pos < size {
        let mut block = match Block::open(dir, size, bits(), pos) {
            Ok(block) => block,
            Err(error) => return (found, pos, Some(error)),
        };
        let mut buf = [0; size_of::<NameBuf>()];
        loop {
            pos = block.pos();
            match block.next(&mut buf) {
                Ok(Some((dirent, name))) => found.push((pos, dirent, name.to_vec())),
                Ok(None) => break,
                Err(error) => return (found, pos, Some(error)),
            }
        }
    }
    (found, pos, None)
}

fn check(names: &[Vec<u8>]) {
    let mut dir = directory(names);
    let (found, end, error) = list_from(&mut dir, 0);
    assert_eq!(error, None);
    assert_eq!(end, dir.data.len() as u64);
    let listed: Vec<_> = found
        .iter()
        .map(|(_, dirent, name)| (*dirent, name.clone()))
        .collect();
    let expected: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (dirent(i), name.clone()))
        .collect();
    assert_eq!(listed, expected);

    for (i, name) in names.iter().enumerate() {
        assert_eq!(find(&mut dir, name), Ok(Some(dirent(i))));
        // Neighbours that are not there: a prefix, a longer one, one before, one behind.
        let mut others = vec![
            name[..name.len() - 1].to_vec(),
            [name, &b"\x01"[..]].concat(),
        ];
        for step in [1, 255] {
            let mut other = name.clone();
            if let Some(byte) = other.last_mut() {
                *byte = byte.wrapping_add(step);
            }
            others.push(other);
        }
        for other in others {
            if other.len() > NAME_LEN || other.contains(&0) || other.contains(&b'/') {
                continue;
            }
            let expected = names.binary_search(&other).ok().map(dirent);
            assert_eq!(find(&mut dir, &other), Ok(expected), "{other:?}");
        }
    }
    for other in [&b""[..], b"\x01", b"\xff\xff\xff", &[0xff; 255]] {
        let expected = names.binary_search(&other.to_vec()).ok().map(dirent);
        assert_eq!(find(&mut dir, other), Ok(expected));
    }
}

fn sorted(mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    names.sort();
    names.dedup();
    names
}

#[test]
fn one_block() {
    check(&sorted(vec![b".".to_vec(), b"..".to_vec()]));
    check(&sorted(
        ["!", ".", "..", "a", "aa", "ab", "b", "\u{ff}"]
            .map(|name| name.as_bytes().to_vec())
            .to_vec(),
    ));
    check(&[b"x".to_vec()]);
    check(&[vec![b'n'; 255]]);
}

#[test]
fn many_blocks() {
    check(&sorted(
        (0..500).map(|i| format!("file-{i}").into_bytes()).collect(),
    ));
}

#[test]
fn long_common_prefixes() {
    let prefix = "p".repeat(200);
    check(&sorted(
        (0..90)
            .map(|i| format!("{prefix}{i:02}").into_bytes())
            .collect(),
    ));
    // Each is a prefix of the next.
    check(&(1..=255).map(|len| vec![b'a'; len]).collect::<Vec<_>>());
}

#[test]
fn names_of_any_bytes() {
    let mut seed = 1u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16).to_le_bytes()[0]
    };
    let names = (0..400)
        .map(|_| {
            let len = 1 + random() % 6;
            (0..len)
                .map(|_| match random() % 4 {
                    0 => b'/' + 1,
                    1 => 0xff,
                    2 => 1,
                    _ => b'z',
                })
                .collect()
        })
        .collect();
    check(&sorted(names));
}

#[test]
fn an_empty_directory() {
    let mut dir = Bytes::default();
    assert_eq!(find(&mut dir, b"a"), Ok(None));
    let (found, end, error) = list_from(&mut dir, 0);
    assert_eq!((found.len(), end, error), (0, 0, None));
}

#[test]
fn too_long_a_name() {
    let mut dir = directory(&[b"a".to_vec()]);
    let error = find(&mut dir, &[b'a'; 256]).err();
    assert_eq!(error.map(|error| error.errno()), Some(36));
}

#[test]
fn the_last_name_may_end_at_a_nul() {
    for padding in [0, 1, 7] {
        let mut dir = directory(&sorted(vec![b"a".to_vec(), b"bc".to_vec()]));
        dir.data.extend(vec![0; padding]);
        assert_eq!(find(&mut dir, b"bc"), Ok(Some(dirent(1))));
        for other in [&b"b"[..], b"bcd", b"bc\x01"] {
            assert_eq!(find(&mut dir, other), Ok(None));
        }
        assert_eq!(list_from(&mut dir, 0).0.len(), 2);
    }
}

/// Section 6.2: any position is rounded up to an entry, or to the next block.
#[test]
fn every_start() {
    let mut dir = two_blocks();
    let size = dir.data.len() as u64;
    let (all, ..) = list_from(&mut dir, 0);
    assert!(all.iter().any(|(pos, ..)| *pos > B as u64), "two blocks");
    for start in 0..=size + 20 {
        let (found, end, error) = list_from(&mut dir, start);
        assert_eq!(error, None);
        assert_eq!(end, start.max(size));
        let expected: Vec<_> = all
            .iter()
            .filter(|(pos, ..)| *pos >= start)
            .cloned()
            .collect();
        assert_eq!(found, expected, "from {start}");
    }
}

#[test]
fn dot_comes_last() {
    assert!(dot_is_due(true, 100, 100));
    assert!(!dot_is_due(true, 100, 101));
    assert!(!dot_is_due(true, 100, 99));
    assert!(!dot_is_due(false, 100, 100));
    assert!(dot_is_due(true, 0, 0));
}

#[test]
fn errors_of_the_source_pass_through() {
    let mut dir = two_blocks();
    let size = dir.data.len() as u64;
    dir.data.truncate(40);
    let error = lookup(&mut dir, size, bits(), b"file-0030").err();
    assert_eq!(error.map(|error| error.errno()), Some(EIO));
    assert_eq!(
        Block::open(&mut dir, size, bits(), B as u64)
            .err()
            .map(|error| error.errno()),
        Some(EIO)
    );
}

/// A directory of one block that counts how often it is read.
struct Counting<'a>(&'a [u8], &'a Cell<usize>);

impl Blocks for Counting<'_> {
    type View = Self;

    fn block(&mut self, pos: u64, len: u32) -> Result<Self, Error> {
        assert_eq!((pos, len as usize), (0, self.0.len()));
        Ok(Self(self.0, self.1))
    }
}

impl View for Counting<'_> {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).expect("a block")
    }

    fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.1.set(self.1.get() + 1);
        self.0.get(at as usize..)?.first_chunk().copied()
    }
}

#[test]
fn few_reads() {
    let names: Vec<_> = (0..24)
        .map(|i| format!("file-{i:02}").into_bytes())
        .collect();
    let block = block(0, &names, true);
    let reads = Cell::new(0);
    let mut dir = Counting(&block, &reads);
    let found = lookup(&mut dir, block.len() as u64, bits(), b"file-20");
    assert_eq!(found, Ok(Some(dirent(20))));
    // The count of the entries; at most five names, each two offsets and a word; the entry.
    assert!(reads.get() <= 1 + 5 * 3 + 2, "{} reads", reads.get());
}

/// Wherever the name ends in its words, and whatever stands around it.
#[test]
fn names_of_any_length() {
    for len in 1..=NAME_LEN {
        let name = vec![b'n'; len];
        for names in [
            vec![name.clone()],
            vec![b"a".to_vec(), name.clone()],
            vec![name.clone(), b"z".to_vec()],
        ] {
            for padding in 0..9 {
                let mut dir = Bytes::new(block(0, &names, true));
                dir.data.extend(vec![0; padding]);
                let at = names.iter().position(|other| *other == name).map(dirent);
                assert_eq!(find(&mut dir, &name), Ok(at), "{len}");
                let (found, _, error) = list_from(&mut dir, 0);
                let found: Vec<_> = found.into_iter().map(|(.., name)| name).collect();
                assert_eq!((found, error), (names.clone(), None), "{len}");
            }
            // A byte that no name has, anywhere in it.
            let start = 12 * names.len() + names.iter().take_while(|it| **it != name).count();
            for bad in start..start + len {
                let mut dir = Bytes::new(block(0, &names, true));
                dir.u8(bad, b'/');
                assert_eq!(
                    list_from(&mut dir, 0).2,
                    Some(Error::corrupt("bogus dirent"))
                );
            }
        }
    }
}

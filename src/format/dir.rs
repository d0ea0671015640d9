// SPDX-License-Identifier: GPL-2.0

//! Directories: sorted names in blocks that stand each for itself.
//!
//! A block starts with its entries; their names follow. The first name's offset tells how many
//! entries there are. Each name ends where the next one starts, the last one at a NUL or with the
//! block.

use super::read_value;
use super::BlockBits;
use super::Error;
use super::Result;
use super::Source;
use super::ENAMETOOLONG;
use core::cmp::Ordering;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U64;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// `EROFS_NAME_LEN`, the longest name in bytes.
pub(crate) const NAME_LEN: usize = 255;

/// `struct erofs_dirent`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    nid: U64,
    nameoff: U16,
    file_type: u8,
    reserved: u8,
}

/// An entry and as much of the next one as tells where the entry's name ends.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Pair {
    entry: Raw,
    next_nid: U64,
    next_nameoff: U16,
}

/// The size of an entry, which is also the step of positions in a directory.
const ENTRY: u32 = 12;
const PAIR: u32 = 22;

const _: () = assert!(size_of::<Raw>() == ENTRY as usize);
const _: () = assert!(size_of::<Pair>() == PAIR as usize);

/// What an entry says of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dirent {
    pub(crate) nid: super::inode::Nid,
    /// `EROFS_FT_*`, which are the VFS's `FT_*`; only a hint, and not checked.
    pub(crate) file_type: u8,
}

impl Raw {
    fn dirent(&self) -> Dirent {
        Dirent {
            nid: super::inode::Nid(self.nid.get()),
            file_type: self.file_type,
        }
    }
}

const BOGUS: Error = Error::corrupt("bogus dirent");

/// How many bytes both start with.
#[inline]
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let mut same: usize = 0;
    for (a, b) in words {
        let differ = word(a) ^ word(b);
        if differ != 0 {
            return same.saturating_add(differ.trailing_zeros() as usize / 8);
        }
        same = same.saturating_add(WORD);
    }
    let (a, b) = (a.get(same..), b.get(same..));
    let rest = a.unwrap_or_default().iter().zip(b.unwrap_or_default());
    same.saturating_add(rest.take_while(|(a, b)| a == b).count())
}

/// The first 8 bytes as a number, the first one lowest.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The bounds of one directory block, checked.
#[derive(Clone, Copy)]
struct Bounds {
    /// Where the block starts in the directory.
    pos: u64,
    /// Its size: less than a block at the directory's end.
    len: u32,
    /// Where the names start, and the entries end.
    names: u32,
}

impl Bounds {
    /// Reads the first entry of block `index`, and what it says about the block.
    #[inline]
    fn open<S: Source>(
        src: &mut S,
        size: u64,
        block: BlockBits,
        index: u64,
    ) -> Result<(Self, Pair)> {
        let pos = block.pos(index);
        let len = size.saturating_sub(pos).min(block.size());
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let mut pair = Pair {
            entry: Raw {
                nid: U64::ZERO,
                nameoff: U16::ZERO,
                file_type: 0,
                reserved: 0,
            },
            next_nid: U64::ZERO,
            next_nameoff: U16::ZERO,
        };
        if len >= PAIR {
            pair = read_value(src, pos)?;
        } else if len >= ENTRY {
            pair.entry = read_value(src, pos)?;
        }
        let names = u32::from(pair.entry.nameoff.get());
        if names == 0 || names % ENTRY != 0 || names >= len {
            return Err(Error::corrupt("invalid de[0].nameoff"));
        }
        Ok((Self { pos, len, names }, pair))
    }

    /// Where the name of the entry `pair` at offset `at` starts, and where it ends at most.
    #[inline]
    fn name(&self, at: u32, pair: &Pair) -> Result<(u32, u32)> {
        let start = u32::from(pair.entry.nameoff.get());
        let end = if self.is_last(at) {
            self.len
        } else {
            u32::from(pair.next_nameoff.get())
        };
        if start < self.names || end <= start || end > self.len {
            return Err(BOGUS);
        }
        Ok((start, end))
    }

    #[inline]
    fn is_last(&self, at: u32) -> bool {
        at.saturating_add(ENTRY) >= self.names
    }

    fn src_pos(&self, offset: u32) -> u64 {
        self.pos.saturating_add(offset.into())
    }

    /// Reads the entry at offset `at` below `names`.
    #[inline]
    fn entry<S: Source>(&self, src: &mut S, at: u32) -> Result<Pair> {
        let pos = self.src_pos(at);
        if self.is_last(at) {
            Ok(Pair {
                entry: read_value(src, pos)?,
                next_nid: U64::ZERO,
                next_nameoff: U16::ZERO,
            })
        } else {
            read_value(src, pos)
        }
    }

    /// Compares `name` with the entry's name, whose first `matched` bytes are known to be equal.
    #[inline]
    fn compare<S: Source>(
        &self,
        src: &mut S,
        at: u32,
        pair: &Pair,
        name: &[u8],
        matched: &mut usize,
    ) -> Result<Ordering> {
        const CHUNK: u32 = 32;
        let (start, end) = self.name(at, pair)?;
        let mut chunk = [0; CHUNK as usize];
        loop {
            let from = u32::try_from(*matched).map_or(end, |skip| start.saturating_add(skip));
            if from >= end {
                return Ok(name.len().cmp(matched));
            }
            let wanted = end.saturating_sub(from).min(CHUNK) as usize;
            if self.len.saturating_sub(from) >= CHUNK {
                // What follows the name does not matter, and a copy of constant size is cheap.
                src.read(self.src_pos(from), &mut chunk)?;
            } else if let Some(part) = chunk.get_mut(..wanted) {
                src.read(self.src_pos(from), part)?;
            }
            let stored = chunk.get(..wanted).unwrap_or(&chunk);
            let rest = name.get(*matched..).unwrap_or_default();
            let same = common_prefix(stored, rest);
            *matched = matched.saturating_add(same);
            // Names hold no NUL: one ends the stored name.
            match (stored.get(same), rest.get(same)) {
                (Some(0), None) => return Ok(Ordering::Equal),
                (Some(0), Some(_)) => return Ok(Ordering::Greater),
                (Some(_), None) => return Ok(Ordering::Less),
                (Some(stored), Some(byte)) => return Ok(byte.cmp(stored)),
                // All of the chunk is equal: the next one decides, or the end of the stored name.
                (None, _) => {}
            }
        }
    }

    /// The entry that [`Self::compare`] found equal, once nothing is taken for known any more.
    fn confirm<S: Source>(
        &self,
        src: &mut S,
        at: u32,
        pair: &Pair,
        name: &[u8],
    ) -> Result<Option<Dirent>> {
        match self.compare(src, at, pair, name, &mut 0)? {
            Ordering::Equal => Ok(Some(pair.entry.dirent())),
            _ => Err(Error::corrupt("directory is not sorted")),
        }
    }
}

/// The range of a binary search, and how much of the name is equal at both of its ends.
struct Search {
    low: u64,
    high: u64,
    low_matched: usize,
    high_matched: usize,
}

impl Search {
    fn new(low: u64, high: u64) -> Self {
        Self {
            low,
            high,
            low_matched: 0,
            high_matched: 0,
        }
    }

    /// What to look at next, and how much of it is equal by the order of names.
    #[inline]
    fn middle(&self) -> Option<(u64, usize)> {
        let rest = self.high.checked_sub(self.low).filter(|&rest| rest > 0)?;
        let middle = self.low.saturating_add(rest / 2);
        Some((middle, self.low_matched.min(self.high_matched)))
    }

    #[inline]
    fn go_left(&mut self, middle: u64, matched: usize) {
        self.high = middle;
        self.high_matched = matched;
    }

    #[inline]
    fn go_right(&mut self, middle: u64, matched: usize) {
        self.low = middle.saturating_add(1);
        self.low_matched = matched;
    }
}

/// Looks `name` up in a directory of `size` bytes, whose content is `src`.
///
/// Nothing of a name but what has to be compared is read.
pub(crate) fn lookup<S: Source>(
    src: &mut S,
    size: u64,
    block: BlockBits,
    name: &[u8],
) -> Result<Option<Dirent>> {
    if name.len() > NAME_LEN {
        return Err(Error::os(ENAMETOOLONG, "name is too long"));
    }

    // The last block whose first name is not greater.
    let mut candidate = None;
    let mut search = Search::new(0, block.count(size));
    while let Some((middle, known)) = search.middle() {
        let (bounds, pair) = Bounds::open(src, size, block, middle)?;
        let mut matched = known;
        match bounds.compare(src, 0, &pair, name, &mut matched)? {
            Ordering::Equal if known == 0 => return Ok(Some(pair.entry.dirent())),
            Ordering::Equal => return bounds.confirm(src, 0, &pair, name),
            Ordering::Less => search.go_left(middle, matched),
            Ordering::Greater => {
                search.go_right(middle, matched);
                candidate = Some(bounds);
            }
        }
    }
    let Some(bounds) = candidate else {
        return Ok(None);
    };

    // Its first entry is smaller.
    let mut search = Search::new(1, u64::from(bounds.names / ENTRY));
    while let Some((middle, known)) = search.middle() {
        let at = u32::try_from(middle).map_or(u32::MAX, |index| index.saturating_mul(ENTRY));
        let pair = bounds.entry(src, at)?;
        let mut matched = known;
        match bounds.compare(src, at, &pair, name, &mut matched)? {
            Ordering::Equal if known == 0 => return Ok(Some(pair.entry.dirent())),
            Ordering::Equal => return bounds.confirm(src, at, &pair, name),
            Ordering::Less => search.go_left(middle, matched),
            Ordering::Greater => search.go_right(middle, matched),
        }
    }
    Ok(None)
}

/// A position in a directory block, for readdir.
///
/// A directory position is the byte offset of an entry in the directory; behind the last entry of
/// a block comes the position where the next block starts.
///
/// ```text
/// while pos < size {
///     let mut block = Block::open(src, size, bits, pos)?;
///     loop {
///         pos = block.pos();
///         let Some((dirent, name)) = block.next(src, &mut buf)? else { break };
///         if !emit(dirent, name) { return }
///     }
/// }
/// if dot_is_due(dot_omitted, size, pos) && emit(self, ".") { pos += 1 }
/// ```
pub(crate) struct Block {
    bounds: Bounds,
    /// The offset of the next entry.
    at: u32,
    /// That entry, where the one before has told it.
    ahead: Option<Raw>,
}

impl Block {
    /// Opens the block of `pos`, at the first entry that starts there or behind.
    pub(crate) fn open<S: Source>(
        src: &mut S,
        size: u64,
        block: BlockBits,
        pos: u64,
    ) -> Result<Self> {
        let (bounds, pair) = Bounds::open(src, size, block, pos >> block.get())?;
        let offset = u32::try_from(block.offset(pos)).unwrap_or(u32::MAX);
        let at = offset.div_ceil(ENTRY).saturating_mul(ENTRY);
        Ok(Self {
            bounds,
            at,
            ahead: (at == 0).then_some(pair.entry),
        })
    }

    /// The position of the next entry; if there is none, of the next block or the directory's end.
    pub(crate) fn pos(&self) -> u64 {
        if self.at < self.bounds.names {
            self.bounds.src_pos(self.at)
        } else {
            self.bounds.src_pos(self.bounds.len)
        }
    }

    /// Reads the next entry and copies its name into `buf`.
    pub(crate) fn next<'a, S: Source>(
        &mut self,
        src: &mut S,
        buf: &'a mut [u8; NAME_LEN],
    ) -> Result<Option<(Dirent, &'a [u8])>> {
        let bounds = &self.bounds;
        if self.at >= bounds.names {
            return Ok(None);
        }
        let entry = match self.ahead {
            Some(entry) => entry,
            None => read_value(src, bounds.src_pos(self.at))?,
        };
        let mut pair = Pair {
            entry,
            next_nid: U64::ZERO,
            next_nameoff: U16::ZERO,
        };
        let mut ahead = None;
        if !bounds.is_last(self.at) {
            let next: Raw = read_value(src, bounds.src_pos(self.at.saturating_add(ENTRY)))?;
            pair.next_nameoff = next.nameoff;
            ahead = Some(next);
        }
        let (start, end) = bounds.name(self.at, &pair)?;
        let len = end.saturating_sub(start) as usize;
        let name = if bounds.is_last(self.at) {
            last_name(src, bounds.src_pos(start), len, buf)?
        } else {
            let name = buf.get_mut(..len).ok_or(BOGUS)?;
            src.read(bounds.src_pos(start), name)?;
            &*name
        };
        if name.is_empty() || name.iter().any(|&byte| byte == 0 || byte == b'/') {
            return Err(BOGUS);
        }
        self.at = self.at.saturating_add(ENTRY);
        self.ahead = ahead;
        Ok(Some((entry.dirent(), name)))
    }
}

/// Reads the last name of a block, which ends at a NUL or `room` bytes on.
fn last_name<'a, S: Source>(
    src: &mut S,
    pos: u64,
    room: usize,
    buf: &'a mut [u8; NAME_LEN],
) -> Result<&'a [u8]> {
    let part = buf.get_mut(..room.min(NAME_LEN)).ok_or(BOGUS)?;
    src.read(pos, part)?;
    if let Some(len) = part.iter().position(|&byte| byte == 0) {
        return part.get(..len).ok_or(BOGUS);
    }
    if room > NAME_LEN && read_value::<u8, S>(src, super::after(pos, NAME_LEN as u64)?)? != 0 {
        return Err(BOGUS);
    }
    Ok(part)
}

/// A directory that omits `.` has it, for readdir, at the end; the position behind it is one more.
pub(crate) fn dot_is_due(dot_omitted: bool, size: u64, pos: u64) -> bool {
    dot_omitted && pos == size
}

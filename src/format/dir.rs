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
use core::mem::offset_of;
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

/// The size of an entry, which is also the step of positions in a directory.
const ENTRY: u32 = 12;
/// Where an entry tells the offset of its name.
const NAMEOFF: u32 = offset_of!(Raw, nameoff) as u32;

const _: () = assert!(size_of::<Raw>() == ENTRY as usize);

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
    /// Reads what the first entry of block `index` says about the block.
    #[inline]
    fn open<S: Source>(src: &mut S, size: u64, block: BlockBits, index: u64) -> Result<Self> {
        let pos = block.pos(index);
        let len = size.saturating_sub(pos).min(block.size());
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let names = match len {
            ENTRY.. => read_value::<U16, S>(src, super::after(pos, NAMEOFF.into())?)?.get(),
            _ => 0,
        };
        let names = u32::from(names);
        if names == 0 || names % ENTRY != 0 || names >= len {
            return Err(Error::corrupt("invalid de[0].nameoff"));
        }
        Ok(Self { pos, len, names })
    }

    /// Where the name of the entry at offset `at` starts, and where it ends at most.
    #[inline(always)]
    fn name<S: Source>(&self, src: &mut S, at: u32) -> Result<(u32, u32)> {
        let nameoff = |src: &mut S, at: u32| {
            let pos = self.src_pos(at.saturating_add(NAMEOFF));
            read_value::<U16, S>(src, pos).map(|offset| u32::from(offset.get()))
        };
        let start = nameoff(src, at)?;
        let end = if self.is_last(at) {
            self.len
        } else {
            nameoff(src, at.saturating_add(ENTRY))?
        };
        self.check_name(start, end)
    }

    #[inline(always)]
    fn check_name(&self, start: u32, end: u32) -> Result<(u32, u32)> {
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
        // Both are below 2^63 + 2^32; a source refuses what it does not have.
        self.pos.wrapping_add(offset.into())
    }

    /// Reads the entry at offset `at` below `names`.
    #[inline]
    fn entry<S: Source>(&self, src: &mut S, at: u32) -> Result<Raw> {
        read_value(src, self.src_pos(at))
    }

    /// Compares `name` with the entry's name, whose first `matched` bytes are known to be equal.
    ///
    /// Both are taken as if they went on with NULs, which no name holds.
    #[inline(always)]
    fn compare<S: Source>(
        &self,
        src: &mut S,
        at: u32,
        name: &Query<'_>,
        matched: &mut usize,
    ) -> Result<Ordering> {
        let (start, end) = self.name(src, at)?;
        loop {
            let skip = u32::try_from(*matched).unwrap_or(u32::MAX);
            let stored = self.word(src, start.saturating_add(skip), end)?;
            let wanted = name.word(*matched);
            let left = name.bytes.len().saturating_sub(*matched);
            let differ = wanted ^ stored;
            if differ == 0 {
                if left < WORD {
                    return Ok(Ordering::Equal);
                }
                *matched = matched.saturating_add(WORD);
                continue;
            }
            let bit = differ.trailing_zeros() & !7;
            let same = (bit / 8) as usize;
            if same > left {
                // They differ only behind the NUL that ends both.
                return Ok(Ordering::Equal);
            }
            *matched = matched.saturating_add(same);
            let byte = |word: u64| word.wrapping_shr(bit) & 0xff;
            return Ok(byte(wanted).cmp(&byte(stored)));
        }
    }

    /// The 8 bytes at offset `from`, the first one lowest, with NULs from `end` on.
    #[inline(always)]
    fn word<S: Source>(&self, src: &mut S, from: u32, end: u32) -> Result<u64> {
        let have = end.saturating_sub(from);
        if have >= 8 {
            return Ok(read_value::<U64, S>(src, self.src_pos(from))?.get());
        }
        let mask = !u64::MAX.wrapping_shl(8 * have);
        if self.len.saturating_sub(from) >= 8 {
            return Ok(read_value::<U64, S>(src, self.src_pos(from))?.get() & mask);
        }
        // The last bytes of the directory.
        let mut word = [0; WORD];
        if let Some(part) = word.get_mut(..have as usize) {
            if !part.is_empty() {
                src.read(self.src_pos(from), part)?;
            }
        }
        Ok(u64::from_le_bytes(word))
    }

    /// The entry at offset `at`, whose name was found equal but for its first `known` bytes: those were only known to
    /// be equal by the order of names.
    fn found<S: Source>(
        &self,
        src: &mut S,
        at: u32,
        name: &Query<'_>,
        known: usize,
    ) -> Result<Option<Dirent>> {
        if known != 0 && self.compare(src, at, name, &mut 0)? != Ordering::Equal {
            return Err(Error::corrupt("directory is not sorted"));
        }
        Ok(Some(self.entry(src, at)?.dirent()))
    }
}

/// What names are compared with, in the steps that names take.
const WORD: usize = size_of::<u64>();

/// A name that is looked up.
struct Query<'a> {
    bytes: &'a [u8],
    /// The last 8 bytes, the last one highest.
    last: u64,
}

impl<'a> Query<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let shifted = |last: u64, byte: &u8| last >> 8 | u64::from(*byte) << 56;
        Self {
            bytes,
            last: match bytes.last_chunk() {
                Some(last) => u64::from_le_bytes(*last),
                None => bytes.iter().fold(0, shifted),
            },
        }
    }

    /// The 8 bytes at `from`, which is at most the length, the first one lowest; with NULs behind the end.
    #[inline(always)]
    fn word(&self, from: usize) -> u64 {
        let rest = self.bytes.get(from..).unwrap_or_default();
        match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => {
                let missing = 8 * WORD.saturating_sub(rest.len()) as u32;
                self.last.checked_shr(missing).unwrap_or(0)
            }
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

    let name = Query::new(name);
    // The last block whose first name is not greater.
    let mut candidate = None;
    let mut search = Search::new(0, block.count(size));
    while let Some((middle, known)) = search.middle() {
        let bounds = Bounds::open(src, size, block, middle)?;
        let mut matched = known;
        match bounds.compare(src, 0, &name, &mut matched)? {
            Ordering::Equal => return bounds.found(src, 0, &name, known),
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
        let mut matched = known;
        match bounds.compare(src, at, &name, &mut matched)? {
            Ordering::Equal => return bounds.found(src, at, &name, known),
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
        let bounds = Bounds::open(src, size, block, pos >> block.get())?;
        let offset = u32::try_from(block.offset(pos)).unwrap_or(u32::MAX);
        let at = offset.div_ceil(ENTRY).saturating_mul(ENTRY);
        Ok(Self {
            bounds,
            at,
            ahead: None,
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
            None => bounds.entry(src, self.at)?,
        };
        let start = entry.nameoff.get().into();
        let (end, ahead) = if bounds.is_last(self.at) {
            (bounds.len, None)
        } else {
            let next = bounds.entry(src, self.at.saturating_add(ENTRY))?;
            (next.nameoff.get().into(), Some(next))
        };
        let (start, end) = bounds.check_name(start, end)?;
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

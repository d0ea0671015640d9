// SPDX-License-Identifier: GPL-2.0

//! Directories: sorted names in blocks that stand each for itself.
//!
//! A block starts with its entries; their names follow. The first name's offset tells how many
//! entries there are. Each name ends where the next one starts, the last one at a NUL or with the
//! block.

use super::BlockBits;
use super::Error;
use super::Result;
use super::Source;
use super::ENAMETOOLONG;
use core::cmp::Ordering;

/// `EROFS_NAME_LEN`, the longest name in bytes.
pub(crate) const NAME_LEN: usize = 255;

/// Room for a name and what is copied along with its last bytes.
pub(crate) type NameBuf = [u8; NAME_LEN + 1];

/// The size of an entry, which is also the step of positions in a directory.
const ENTRY: u32 = 12;
// Where the fields of `struct erofs_dirent` are. They are read one by one: a search needs but few of them.
const NID: u32 = 0;
const NAMEOFF: u32 = 8;
const FILE_TYPE: u32 = 10;

/// What an entry says of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dirent {
    pub(crate) nid: super::inode::Nid,
    /// `EROFS_FT_*`, which are the VFS's `FT_*`; only a hint, and not checked.
    pub(crate) file_type: u8,
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
            ENTRY.. => u16::from_le_bytes(src.array(super::after(pos, NAMEOFF.into())?)?),
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
            let pos = self.src_pos(at.wrapping_add(NAMEOFF));
            src.array(pos)
                .map(|offset| u32::from(u16::from_le_bytes(offset)))
        };
        let start = nameoff(src, at)?;
        let end = if self.is_last(at) {
            self.len
        } else {
            nameoff(src, at.wrapping_add(ENTRY))?
        };
        if start < self.names || end <= start || end > self.len {
            return Err(BOGUS);
        }
        Ok((start, end))
    }

    #[inline]
    fn is_last(&self, at: u32) -> bool {
        // Entries start below 2^16.
        at.wrapping_add(ENTRY) >= self.names
    }

    fn src_pos(&self, offset: u32) -> u64 {
        // Both are below 2^63 + 2^32; a source refuses what it does not have.
        self.pos.wrapping_add(offset.into())
    }

    /// Reads the entry at offset `at` below `names`.
    #[inline(always)]
    fn entry<S: Source>(&self, src: &mut S, at: u32) -> Result<Dirent> {
        let nid = src.array(self.src_pos(at.wrapping_add(NID)))?;
        let [file_type] = src.array(self.src_pos(at.wrapping_add(FILE_TYPE)))?;
        Ok(Dirent {
            nid: super::inode::Nid(u64::from_le_bytes(nid)),
            file_type,
        })
    }

    /// Compares `name` with the name of the entry at offset `at`.
    #[inline(always)]
    fn compare<S: Source>(&self, src: &mut S, at: u32, name: &Query<'_>) -> Result<Ordering> {
        let (mut from, end) = self.name(src, at)?;
        let mut wanted = name.first;
        let mut rest = name.bytes;
        loop {
            let stored = self.word(src, from, end)?;
            if wanted != stored {
                return Ok(wanted.swap_bytes().cmp(&stored.swap_bytes()));
            }
            let Some((_, behind)) = rest.split_first_chunk::<WORD>() else {
                return Ok(Ordering::Equal);
            };
            rest = behind;
            wanted = name.word(rest);
            from = from.saturating_add(STEP);
        }
    }

    /// Copies the name from offset `start` to `end`, or to the first NUL; returns its length.
    #[inline(always)]
    fn copy_name<S: Source>(
        &self,
        src: &mut S,
        start: u32,
        end: u32,
        buf: &mut NameBuf,
    ) -> Result<usize> {
        const SLASHES: u64 = u64::from_le_bytes([b'/'; WORD]);
        let mut len: usize = 0;
        let mut from = start;
        for chunk in buf.chunks_exact_mut(WORD) {
            if end.saturating_sub(from) >= STEP {
                let word = self.whole_word(src, from)?;
                if nuls(word) | nuls(word ^ SLASHES) == 0 {
                    chunk.copy_from_slice(&word.to_le_bytes());
                    len = len.wrapping_add(WORD);
                    from = from.wrapping_add(STEP);
                    continue;
                }
            }
            // The last bytes, or what is no name.
            let word = self.word(src, from, end)?;
            if nuls(word ^ SLASHES) != 0 {
                return Err(BOGUS);
            }
            chunk.copy_from_slice(&word.to_le_bytes());
            let bytes = WORD.saturating_sub(word.leading_zeros() as usize / 8);
            len = len.wrapping_add(bytes);
            break;
        }
        if len > NAME_LEN {
            return Err(BOGUS);
        }
        Ok(len)
    }

    /// The 8 bytes at offset `from`, the first one lowest, with NULs from `end` or the first NUL on.
    #[inline(always)]
    fn word<S: Source>(&self, src: &mut S, from: u32, end: u32) -> Result<u64> {
        let have = end.saturating_sub(from);
        let word = if have >= STEP {
            self.whole_word(src, from)?
        } else {
            let word = match self.len.saturating_sub(from) {
                STEP.. => self.whole_word(src, from)?,
                _ => self.last_word(src, from)?,
            };
            word & !u64::MAX.wrapping_shl(8 * have)
        };
        Ok(match nuls(word) {
            0 => word,
            nuls => word & (nuls & nuls.wrapping_neg()).wrapping_sub(1),
        })
    }

    /// The 8 bytes at offset `from`, as they are.
    #[inline(always)]
    fn whole_word<S: Source>(&self, src: &mut S, from: u32) -> Result<u64> {
        Ok(u64::from_le_bytes(src.array(self.src_pos(from))?))
    }

    /// As [`Self::word`], for less than 8 bytes that end with the directory.
    #[cold]
    fn last_word<S: Source>(&self, src: &mut S, from: u32) -> Result<u64> {
        let mut word = [0; WORD];
        let left = self.len.saturating_sub(from) as usize;
        match word.get_mut(..left) {
            Some(part) if left > 0 => src.read(self.src_pos(from), part)?,
            _ => {}
        }
        Ok(u64::from_le_bytes(word))
    }
}

/// The highest bit of each byte that is NUL, and maybe of some that follow one.
#[inline(always)]
const fn nuls(word: u64) -> u64 {
    const LOWEST: u64 = u64::MAX / 0xff;
    word.wrapping_sub(LOWEST) & !word & LOWEST << 7
}

/// What names are compared with, in the steps that names take.
const WORD: usize = size_of::<u64>();
const STEP: u32 = u64::BITS / 8;

/// A name that is looked up.
struct Query<'a> {
    bytes: &'a [u8],
    /// The first 8 bytes, the first one lowest, with NULs behind the end.
    first: u64,
    /// The last 8 bytes, the last one highest, with NULs before the start.
    last: u64,
}

impl<'a> Query<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let shifted = |last: u64, byte: &u8| last >> 8 | u64::from(*byte) << 56;
        let mut query = Self {
            bytes,
            first: 0,
            last: match bytes.last_chunk() {
                Some(last) => u64::from_le_bytes(*last),
                None => bytes.iter().fold(0, shifted),
            },
        };
        query.first = query.word(bytes);
        query
    }

    /// The first 8 bytes of `rest`, the end of the name, with NULs behind it.
    #[inline(always)]
    fn word(&self, rest: &[u8]) -> u64 {
        match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => {
                let missing = u32::try_from(WORD.saturating_sub(rest.len())).unwrap_or(STEP);
                self.last.checked_shr(8 * missing).unwrap_or(0)
            }
        }
    }
}

/// The range of a binary search.
struct Search {
    low: u64,
    high: u64,
}

impl Search {
    /// What to look at next.
    #[inline(always)]
    fn middle(&self) -> Option<u64> {
        let rest = self.high.checked_sub(self.low).filter(|&rest| rest > 0)?;
        Some(self.low.saturating_add(rest / 2))
    }

    #[inline(always)]
    fn go_right(&mut self, middle: u64) {
        self.low = middle.saturating_add(1);
    }
}

/// The last block whose first name is not greater, and how `name` compares with that.
fn last_block<S: Source>(
    src: &mut S,
    size: u64,
    block: BlockBits,
    blocks: u64,
    name: &Query<'_>,
) -> Result<Option<(Bounds, Ordering)>> {
    let mut candidate = None;
    let mut search = Search {
        low: 0,
        high: blocks,
    };
    while let Some(middle) = search.middle() {
        let bounds = Bounds::open(src, size, block, middle)?;
        match bounds.compare(src, 0, name)? {
            Ordering::Less => search.high = middle,
            Ordering::Equal => return Ok(Some((bounds, Ordering::Equal))),
            Ordering::Greater => {
                search.go_right(middle);
                candidate = Some((bounds, Ordering::Greater));
            }
        }
    }
    Ok(candidate)
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
    let blocks = block.count(size);
    let (bounds, low) = if blocks == 1 {
        (Bounds::open(src, size, block, 0)?, 0)
    } else {
        match last_block(src, size, block, blocks, &name)? {
            // Its first entry is smaller.
            Some((bounds, Ordering::Greater)) => (bounds, 1),
            Some((bounds, _)) => return bounds.entry(src, 0).map(Some),
            None => return Ok(None),
        }
    };
    let mut search = Search {
        low,
        high: u64::from(bounds.names / ENTRY),
    };
    while let Some(middle) = search.middle() {
        let at = u32::try_from(middle).map_or(u32::MAX, |index| index.saturating_mul(ENTRY));
        match bounds.compare(src, at, &name)? {
            Ordering::Equal => return Ok(Some(bounds.entry(src, at)?)),
            Ordering::Less => search.high = middle,
            Ordering::Greater => search.go_right(middle),
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
        Ok(Self { bounds, at })
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
        buf: &'a mut NameBuf,
    ) -> Result<Option<(Dirent, &'a [u8])>> {
        let bounds = &self.bounds;
        if self.at >= bounds.names {
            return Ok(None);
        }
        let (start, end) = bounds.name(src, self.at)?;
        let len = bounds.copy_name(src, start, end, buf)?;
        // Only the last name of a block ends before its room does.
        if len == 0 || len != end.saturating_sub(start) as usize && !bounds.is_last(self.at) {
            return Err(BOGUS);
        }
        let name = buf.get(..len).ok_or(BOGUS)?;
        let entry = bounds.entry(src, self.at)?;
        self.at = self.at.saturating_add(ENTRY);
        Ok(Some((entry, name)))
    }
}

/// A directory that omits `.` has it, for readdir, at the end; the position behind it is one more.
pub(crate) fn dot_is_due(dot_omitted: bool, size: u64, pos: u64) -> bool {
    dot_omitted && pos == size
}

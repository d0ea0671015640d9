// SPDX-License-Identifier: GPL-2.0

//! Directories: sorted names in blocks that stand each for itself.
//!
//! A block starts with its entries; their names follow. The first name's offset tells how many
//! entries there are. Each name ends where the next one starts, the last one at a NUL or with the
//! block.

use super::BlockBits;
use super::Error;
use super::Result;
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

/// Room for a name and what is copied along with its last bytes.
pub(crate) type NameBuf = [u8; NAME_LEN + 1];

/// The content of a directory.
pub(crate) trait Blocks {
    type View: View;

    /// The `len` bytes from `pos` on: a block, or what the directory's end leaves of it.
    fn block(&mut self, pos: u64, len: u32) -> Result<Self::View>;
}

/// The bytes of a directory block. They may change between two reads, their number does not.
pub(crate) trait View {
    /// How many there are.
    fn len(&self) -> u32;

    /// The `N` bytes from `at` on; `None` if not all of them are there.
    fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]>;
}

/// `struct erofs_dirent`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct RawDirent {
    nid: U64,
    nameoff: U16,
    file_type: u8,
    reserved: u8,
}

/// The size of an entry, which is also the step of positions in a directory.
const ENTRY: u32 = 12;
/// All that a search reads of most entries.
const NAMEOFF: u32 = 8;

const _: () = assert!(size_of::<RawDirent>() == ENTRY as usize);
const _: () = assert!(offset_of!(RawDirent, nameoff) == NAMEOFF as usize);

/// What an entry says of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dirent {
    pub(crate) nid: super::inode::Nid,
    /// `EROFS_FT_*`, which are the VFS's `FT_*`; only a hint, and not checked.
    pub(crate) file_type: u8,
}

impl From<RawDirent> for Dirent {
    #[inline(always)]
    fn from(raw: RawDirent) -> Self {
        Self {
            nid: super::inode::Nid(raw.nid.get()),
            file_type: raw.file_type,
        }
    }
}

const BOGUS: Error = Error::corrupt("bogus dirent");

/// The entries of one directory block. Each is named by its offset in the block.
struct Entries<V> {
    view: V,
    /// Where the names start, and the entries end; below 2^16, and in the view.
    names: u32,
}

impl<V: View> Entries<V> {
    /// Opens block `index` of a directory of `size` bytes.
    #[inline]
    fn open<B: Blocks<View = V>>(
        blocks: &mut B,
        size: u64,
        block: BlockBits,
        index: u64,
    ) -> Result<Self> {
        const HEADER: Error = Error::corrupt("invalid de[0].nameoff");
        let pos = block.pos(index);
        let len = size.saturating_sub(pos).min(block.size());
        if len < ENTRY.into() {
            return Err(HEADER);
        }
        let view = blocks.block(pos, u32::try_from(len).unwrap_or(u32::MAX))?;
        let entries = Self { names: 0, view };
        let names = entries.nameoff(0)?;
        if names == 0 || names % ENTRY != 0 || names >= entries.view.len() {
            return Err(HEADER);
        }
        Ok(Self { names, ..entries })
    }

    #[inline(always)]
    fn nameoff(&self, at: u32) -> Result<u32> {
        let offset = self.view.array(at.wrapping_add(NAMEOFF)).ok_or(BOGUS)?;
        Ok(u16::from_le_bytes(offset).into())
    }

    /// The entry at offset `at`.
    #[inline(always)]
    fn raw(&self, at: u32) -> Result<RawDirent> {
        let raw: [u8; ENTRY as usize] = self.view.array(at).ok_or(BOGUS)?;
        Ok(zerocopy::transmute!(raw))
    }

    /// Where the name of the entry at offset `at` is, whose `nameoff` is `start`: from there to an
    /// end behind it, in the view.
    #[inline(always)]
    fn name(&self, at: u32, start: u32) -> Result<(u32, u32)> {
        let next = at.wrapping_add(ENTRY);
        let end = if next < self.names {
            self.nameoff(next)?
        } else {
            self.first_nul(start)?
        };
        if start < self.names || end <= start || end > self.view.len() {
            return Err(BOGUS);
        }
        Ok((start, end))
    }

    /// The offset of the first NUL at or behind `from`, or the block's end.
    #[inline(never)]
    fn first_nul(&self, mut from: u32) -> Result<u32> {
        let end = self.view.len();
        while from < end {
            let nuls = nuls(self.padded_word(from, end)?);
            if nuls != 0 {
                return Ok(from.saturating_add(nuls.leading_zeros() / 8));
            }
            from = from.saturating_add(STEP);
        }
        Ok(end)
    }

    /// The 8 bytes from `at` on, the first one highest.
    #[inline(always)]
    fn word(&self, at: u32) -> Result<u64> {
        let word = self.view.array(at).ok_or(BOGUS)?;
        Ok(u64::from_be_bytes(word))
    }

    /// The `left` bytes before `end`, 1 to 8, the first one highest, with NULs behind.
    #[inline(always)]
    fn last_word(&self, left: u32, end: u32) -> Result<u64> {
        // There are 8 bytes before the end of a name: at least an entry.
        Ok(self.word(end.wrapping_sub(STEP))? << missing_bits(left))
    }

    /// The bytes from `from` on, 8 at most, the first one highest, with NULs from `end` on.
    #[inline(always)]
    fn padded_word(&self, from: u32, end: u32) -> Result<u64> {
        match end.checked_sub(from) {
            Some(STEP..) => self.word(from),
            Some(left @ 1..) => self.last_word(left, end),
            _ => Ok(0),
        }
    }

    /// Compares `wanted` with the name of the entry at offset `at`.
    #[inline(always)]
    fn compare(&self, wanted: &Query<'_>, at: u32) -> Result<Ordering> {
        let (mut from, end) = self.name(at, self.nameoff(at)?)?;
        let mut word = wanted.first;
        let mut rest = wanted.bytes;
        loop {
            let stored = self.padded_word(from, end)?;
            if word != stored {
                return Ok(word.cmp(&stored));
            }
            let Some((_, behind)) = rest.split_first_chunk::<WORD>() else {
                return Ok(Ordering::Equal);
            };
            rest = behind;
            word = wanted.word(rest);
            from = from.saturating_add(STEP);
        }
    }

    /// Copies the name from `from` to `end`, and makes sure that it can be one.
    #[inline(always)]
    fn copy_name<'a>(&self, mut from: u32, end: u32, buf: &'a mut NameBuf) -> Result<&'a [u8]> {
        let len = end.wrapping_sub(from) as usize;
        if len > NAME_LEN {
            return Err(BOGUS);
        }
        for chunk in buf.chunks_exact_mut(WORD) {
            let left = end.wrapping_sub(from);
            if left <= STEP {
                let word = self.last_word(left, end)?;
                check_name(word | !(u64::MAX << missing_bits(left)))?;
                chunk.copy_from_slice(&word.to_be_bytes());
                break;
            }
            let word = self.word(from)?;
            check_name(word)?;
            chunk.copy_from_slice(&word.to_be_bytes());
            from = from.wrapping_add(STEP);
        }
        buf.get(..len).ok_or(BOGUS)
    }
}

/// What names are compared and copied in.
const WORD: usize = size_of::<u64>();
const STEP: u32 = u64::BITS / 8;

/// The highest bit of each byte that is NUL.
#[inline(always)]
const fn nuls(word: u64) -> u64 {
    const LOW: u64 = u64::MAX / 0xff * 0x7f;
    !((word & LOW).wrapping_add(LOW) | word | LOW)
}

/// How many bits of a word `bytes` bytes, up to 8, leave.
#[inline(always)]
const fn missing_bits(bytes: u32) -> u32 {
    u64::BITS.saturating_sub(bytes.saturating_mul(8)) % u64::BITS
}

/// Refuses a word of a name with a byte that no name has.
#[inline(always)]
fn check_name(word: u64) -> Result<()> {
    const SLASHES: u64 = u64::from_ne_bytes([b'/'; WORD]);
    match nuls(word) | nuls(word ^ SLASHES) {
        0 => Ok(()),
        _ => Err(BOGUS),
    }
}

/// A name that is looked up.
struct Query<'a> {
    bytes: &'a [u8],
    /// The first 8 bytes, the first one highest, with NULs behind the end.
    first: u64,
    /// The last 8 bytes, the last one lowest, with NULs before the start.
    last: u64,
}

impl<'a> Query<'a> {
    #[inline(always)]
    fn new(bytes: &'a [u8]) -> Self {
        let last = match bytes.last_chunk() {
            Some(last) => u64::from_be_bytes(*last),
            None => bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let mut query = Self {
            bytes,
            first: 0,
            last,
        };
        query.first = query.word(bytes);
        query
    }

    /// The first 8 bytes of `rest`, the end of the name, with NULs behind it.
    #[inline(always)]
    fn word(&self, rest: &[u8]) -> u64 {
        match rest.first_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => {
                let missing = u32::try_from(WORD.saturating_sub(rest.len())).unwrap_or(STEP);
                self.last.checked_shl(8 * missing).unwrap_or(0)
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
        (self.low < self.high).then(|| self.low.midpoint(self.high))
    }

    #[inline(always)]
    fn go_right(&mut self, middle: u64) {
        self.low = middle.saturating_add(1);
    }
}

/// The last block whose first name is not greater, and how `name` compares with that.
fn last_block<B: Blocks>(
    blocks: &mut B,
    size: u64,
    block: BlockBits,
    name: &Query<'_>,
) -> Result<Option<(Entries<B::View>, Ordering)>> {
    let mut candidate = None;
    let mut search = Search {
        low: 0,
        high: block.count(size),
    };
    while let Some(middle) = search.middle() {
        let entries = Entries::open(blocks, size, block, middle)?;
        match entries.compare(name, 0)? {
            Ordering::Less => search.high = middle,
            Ordering::Equal => return Ok(Some((entries, Ordering::Equal))),
            Ordering::Greater => {
                search.go_right(middle);
                candidate = Some((entries, Ordering::Greater));
            }
        }
    }
    Ok(candidate)
}

/// Looks `name` up in a directory of `size` bytes.
///
/// Nothing of a name but what has to be compared is read.
#[inline]
pub(crate) fn lookup<B: Blocks>(
    blocks: &mut B,
    size: u64,
    block: BlockBits,
    name: &[u8],
) -> Result<Option<Dirent>> {
    if name.len() > NAME_LEN {
        return Err(Error::os(ENAMETOOLONG, "name is too long"));
    }

    let name = Query::new(name);
    let (entries, low) = if block.count(size) == 1 {
        (Entries::open(blocks, size, block, 0)?, 0)
    } else {
        match last_block(blocks, size, block, &name)? {
            // Its first entry is smaller.
            Some((entries, Ordering::Greater)) => (entries, 1),
            Some((entries, _)) => return Ok(Some(entries.raw(0)?.into())),
            None => return Ok(None),
        }
    };
    let mut search = Search {
        low,
        high: u64::from(entries.names / ENTRY),
    };
    while let Some(middle) = search.middle() {
        // Below 2^16.
        let at = (middle & 0xffff) as u32 * ENTRY;
        match entries.compare(&name, at)? {
            Ordering::Equal => return Ok(Some(entries.raw(at)?.into())),
            Ordering::Less => search.high = middle,
            Ordering::Greater => search.go_right(middle),
        }
    }
    Ok(None)
}

/// A directory block, listed from an entry on.
///
/// A directory position is the byte offset of an entry in the directory; behind the last entry of
/// a block comes the position where the next block starts.
///
/// ```text
/// while pos < size {
///     let mut block = Block::open(blocks, size, bits, pos)?;
///     loop {
///         pos = block.pos();
///         let Some((dirent, name)) = block.next(&mut buf)? else { break };
///         if !emit(dirent, name) { return }
///     }
/// }
/// if dot_is_due(dot_omitted, size, pos) && emit(self, ".") { pos += 1 }
/// ```
pub(crate) struct Block<V> {
    entries: Entries<V>,
    /// Where the block starts in the directory.
    start: u64,
    /// The offset of the next entry.
    at: u32,
}

impl<V: View> Block<V> {
    /// Opens the block of `pos`, at the first entry that starts there or behind.
    pub(crate) fn open<B: Blocks<View = V>>(
        blocks: &mut B,
        size: u64,
        block: BlockBits,
        pos: u64,
    ) -> Result<Self> {
        let index = pos >> block.get();
        let entries = Entries::open(blocks, size, block, index)?;
        let offset = u32::try_from(block.offset(pos)).unwrap_or(u32::MAX);
        Ok(Self {
            entries,
            start: block.pos(index),
            at: offset.div_ceil(ENTRY).saturating_mul(ENTRY),
        })
    }

    /// The position of the next entry; if there is none, of the next block or the directory's end.
    #[inline]
    pub(crate) fn pos(&self) -> u64 {
        let Entries { names, view } = &self.entries;
        let offset = if self.at < *names {
            self.at
        } else {
            view.len()
        };
        self.start.wrapping_add(offset.into())
    }

    /// Reads the next entry and copies its name into `buf`.
    #[inline]
    pub(crate) fn next<'a>(&mut self, buf: &'a mut NameBuf) -> Result<Option<(Dirent, &'a [u8])>> {
        if self.at >= self.entries.names {
            return Ok(None);
        }
        let raw = self.entries.raw(self.at)?;
        let (start, end) = self.entries.name(self.at, raw.nameoff.get().into())?;
        let name = self.entries.copy_name(start, end, buf)?;
        self.at = self.at.wrapping_add(ENTRY);
        Ok(Some((raw.into(), name)))
    }
}

/// A directory that omits `.` has it, for readdir, at the end; the position behind it is one more.
pub(crate) fn dot_is_due(dot_omitted: bool, size: u64, pos: u64) -> bool {
    dot_omitted && pos == size
}

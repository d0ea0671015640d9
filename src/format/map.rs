// SPDX-License-Identifier: GPL-2.0

//! From a position in a file to the place of its bytes.

use super::align_up;
use super::inode::Body;
use super::inode::Layout;
use super::superblock::Superblock;
use super::BlockBits;
use super::Error;
use super::Kind;
use super::Result;
use super::Source;
use super::EIO;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy::FromBytes;
use zerocopy::IntoBytes;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// A range of a file whose bytes lie in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it starts in the file: at the position that was asked for, or before it (chunks).
    pub(crate) pos: u64,
    /// Its length, rounded up to a block where the file ends in it, unless it is [`Place::Inline`].
    pub(crate) len: u64,
    pub(crate) place: Place,
}

/// Where the bytes of an [`Extent`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: they are zeros.
    Hole,
    /// At byte `addr` of a device; 0 is the unified space, n slot n - 1 of the device table.
    Device { device: u16, addr: u64 },
    /// At byte `addr` of the space that the inode lies in, within one block.
    Inline { addr: u64 },
}

/// Maps `pos`, a position in a file of `size` bytes.
///
/// `src` is the space that the inode lies in; only chunk-based files read it. `len` is how much the
/// caller has a use for: the extent may be longer or shorter, but no work is done for bytes beyond.
/// At or past the end of the file all is a hole.
pub(crate) fn map<S: Source>(
    src: &mut S,
    sb: &Superblock,
    body: &Body,
    size: u64,
    pos: u64,
    len: u64,
) -> Result<Extent> {
    if let Some(found) = flat(sb, body, size, pos, len)? {
        return Ok(found);
    }
    let Layout::Chunk {
        bits,
        indexes,
        wide,
    } = body.layout
    else {
        return Err(Error::unsupported(
            "compressed data is mapped by its index only",
        ));
    };
    let table = Table {
        sb,
        base: body.data_pos()?,
        bits: u32::from(bits & 63),
        wide,
        size,
    };
    if indexes {
        table.map::<Index, S>(src, pos, len)
    } else {
        table.map::<U32, S>(src, pos, len)
    }
}

/// [`map`] for a file that has no index: nothing is read. `None`: it has one.
#[inline]
pub(crate) fn flat(
    sb: &Superblock,
    body: &Body,
    size: u64,
    pos: u64,
    len: u64,
) -> Result<Option<Extent>> {
    let hole = Extent {
        pos,
        len,
        place: Place::Hole,
    };
    if pos >= size {
        return Ok(Some(hole));
    }
    let blocks = sb.block.count(size);
    let found = match body.layout {
        Layout::Plain { start: None } => hole,
        Layout::Plain { start: Some(start) } => run(sb.block, start, pos, sb.block.pos(blocks))?,
        Layout::Inline { start } => {
            let tail = sb.block.pos(blocks.saturating_sub(1));
            if pos < tail {
                run(sb.block, start, pos, tail)?
            } else {
                inline(sb.block, body.data_pos()?, tail, pos, size)?
            }
        }
        Layout::Chunk { .. } | Layout::Compressed { .. } => return Ok(None),
    };
    Ok(Some(found))
}

/// The byte address of a whole file that lies in one run, where that is told at a glance; else [`map`] tells.
#[inline]
pub(crate) fn whole(sb: &Superblock, body: &Body, size: u64) -> Option<u64> {
    let addr = match body.layout {
        Layout::Plain { start } => sb.block.pos(start?),
        Layout::Inline { .. } => {
            let addr = body.data_pos().ok()?;
            // A tail across blocks is for `map` to refuse.
            let end = sb.block.offset(addr).checked_add(size)?;
            (end <= sb.block.size()).then_some(addr)?
        }
        _ => return None,
    };
    addr.checked_add(size)?;
    Some(addr)
}

const BEYOND: Error = Error::os(EIO, "data beyond the address space");

/// The rest, from `pos` to `end`, of a file whose blocks lie in one run from block `start` on.
fn run(block: BlockBits, start: u64, pos: u64, end: u64) -> Result<Extent> {
    let base = block.pos(start);
    base.checked_add(end).ok_or(BEYOND)?;
    Ok(Extent {
        pos,
        len: end.saturating_sub(pos),
        place: Place::Device {
            device: 0,
            addr: base.checked_add(pos).ok_or(BEYOND)?,
        },
    })
}

/// The rest of a tail that starts at `tail` in the file and at `base` in the inode's space.
fn inline(block: BlockBits, base: u64, tail: u64, pos: u64, size: u64) -> Result<Extent> {
    let room = block.size().saturating_sub(block.offset(base));
    if size.saturating_sub(tail) > room {
        return Err(Error::corrupt("inline data across blocks"));
    }
    Ok(Extent {
        pos,
        len: size.saturating_sub(pos),
        place: Place::Inline {
            addr: super::after(base, pos.saturating_sub(tail))?,
        },
    })
}

/// `struct erofs_inode_chunk_index`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Index {
    startblk_hi: U16,
    device_id: U16,
    startblk_lo: U32,
}

const _: () = assert!(size_of::<Index>() == 8);

/// One chunk's place, in blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Hole,
    At { device: u16, block: u64 },
}

/// The two forms of a chunk's entry.
trait Entry: FromBytes + IntoBytes + Copy {
    fn decode(self, wide: bool, device_mask: u16) -> Chunk;
}

impl Entry for U32 {
    fn decode(self, _wide: bool, _device_mask: u16) -> Chunk {
        match self.get() {
            u32::MAX => Chunk::Hole,
            block => Chunk::At {
                device: 0,
                block: block.into(),
            },
        }
    }
}

impl Entry for Index {
    fn decode(self, wide: bool, device_mask: u16) -> Chunk {
        // Without the flag the high half is not defined.
        let (hi, null_hi) = if wide {
            (self.startblk_hi.get(), u16::MAX)
        } else {
            (0, 0)
        };
        let lo = self.startblk_lo.get();
        if lo == u32::MAX && hi == null_hi {
            return Chunk::Hole;
        }
        Chunk::At {
            device: self.device_id.get() & device_mask,
            block: u64::from(hi) << 32 | u64::from(lo),
        }
    }
}

/// The entries of a chunk-based file.
struct Table<'a> {
    sb: &'a Superblock,
    base: u64,
    bits: u32,
    wide: bool,
    size: u64,
}

impl Table<'_> {
    /// Maps the chunk of `pos` and those after it that continue it.
    ///
    /// As the C driver, it looks no further than the metadata block that holds the first entry.
    fn map<E: Entry, S: Source>(&self, src: &mut S, pos: u64, len: u64) -> Result<Extent> {
        const BATCH: usize = 16;
        let unit = size_of::<E>() as u64;

        let first = pos >> self.bits;
        let start = first << self.bits;
        let entry = first
            .checked_mul(unit)
            .and_then(|offset| align_up(self.base, unit).ok()?.checked_add(offset))
            .ok_or(Error::corrupt("chunk entry beyond 2^64"))?;
        let last = pos
            .saturating_add(len.saturating_sub(1))
            .min(self.size.saturating_sub(1))
            >> self.bits;
        let wanted = last.saturating_sub(first).saturating_add(1);
        let block = self.sb.block;
        let mut left = wanted.min(block.size().saturating_sub(block.offset(entry)) / unit);

        let mut chunks = 0u64;
        let mut head = Chunk::Hole;
        let mut next = head;
        let mut batch = [E::new_zeroed(); BATCH];
        'run: while left > 0 {
            let n = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let Some(entries) = batch.get_mut(..n) else {
                break;
            };
            src.read(
                super::after(entry, chunks.saturating_mul(unit))?,
                entries.as_mut_bytes(),
            )?;
            for raw in entries {
                let chunk = raw.decode(self.wide, self.sb.device_id_mask());
                if chunks == 0 {
                    head = chunk;
                } else if chunk != next {
                    break 'run;
                }
                next = self.after(chunk);
                chunks = chunks.saturating_add(1);
            }
            left = left.saturating_sub(n as u64);
        }

        let end = block.pos(block.count(self.size.saturating_sub(start)));
        let len = chunks.checked_shl(self.bits).unwrap_or(end).min(end);
        Ok(Extent {
            pos: start,
            len,
            place: self.place(head, len)?,
        })
    }

    /// What continues `chunk`.
    fn after(&self, chunk: Chunk) -> Chunk {
        match chunk {
            Chunk::Hole => Chunk::Hole,
            Chunk::At { device, block } => Chunk::At {
                device,
                block: block
                    .saturating_add(1 << (self.bits.saturating_sub(self.sb.block.get()) & 63)),
            },
        }
    }

    fn place(&self, chunk: Chunk, len: u64) -> Result<Place> {
        let Chunk::At { device, block } = chunk else {
            return Ok(Place::Hole);
        };
        if device > self.sb.extra_devices {
            return Err(Error::new(
                Kind::NoDevice,
                "chunk on a device that is not there",
            ));
        }
        let addr = self.sb.block.pos(block);
        addr.checked_add(len).ok_or(BEYOND)?;
        Ok(Place::Device { device, addr })
    }
}

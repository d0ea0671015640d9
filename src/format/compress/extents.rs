// SPDX-License-Identifier: GPL-2.0

//! Tables of extents, whose stored bytes may start and end anywhere.
//!
//! A record is a prefix of `struct z_erofs_extent`. Short ones are for extents of one size, in the
//! order of the file; long ones say where in the file their extent starts.

use super::super::after;
use super::super::align_up;
use super::super::BlockBits;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::header::Advise;
use super::Algorithm;
use super::ClusterBits;
use super::Coding;
use super::Found;
use super::Place;
use super::Run;
use super::Space;
use zerocopy::little_endian::U32;
use zerocopy::FromZeros;
use zerocopy::IntoBytes;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// `struct z_erofs_extent`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    plen: U32,
    pstart_lo: U32,
    pstart_hi: U32,
    lstart_lo: U32,
    lstart_hi: U32,
}

/// `Z_EROFS_EXTENT_PLEN_MASK`: the number of stored bytes.
const PLEN_MASK: u32 = (1 << 21) - 1;
/// `Z_EROFS_EXTENT_PLEN_PARTIAL`.
const PLEN_PARTIAL: u32 = 1 << 27;
/// `Z_EROFS_EXTENT_PLEN_FMT_BIT`: 0 there is plain, n algorithm n - 1.
const PLEN_FMT_BIT: u32 = 28;

/// How many lengths are read at once: 256 bytes that start on as many, so that no page ends in them.
const BATCH: usize = 64;

/// How many lengths are summed up, which is 4 TiB of a file in extents of 64 KiB.
const MAX_LENGTHS: u64 = 1 << 26;

/// What a record has behind `plen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// 4 bytes: nothing. Stored bytes follow each other.
    Lengths,
    /// 8 bytes: the low half of the address.
    Addresses,
    /// 16 bytes: the address, and the low half of the extent's position in the file.
    Starts,
    /// 32 bytes: all.
    LongStarts,
}

/// The table of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Where it starts.
    pos: u64,
    form: Form,
    /// Of extents that have one size.
    bits: ClusterBits,
    /// Of extents that do not.
    count: u64,
    advise: Advise,
}

/// What a record says.
struct Record {
    plen: u32,
    pstart: u64,
}

impl Form {
    /// The size of a record.
    fn size(self) -> u64 {
        match self {
            Self::Lengths => 4,
            Self::Addresses => 8,
            Self::Starts => 16,
            Self::LongStarts => 32,
        }
    }
}

impl Table {
    /// The table behind the map header that ends at `pos`; `count` is for long records only.
    pub(super) fn new(pos: u64, advise: Advise, bits: ClusterBits, count: u64) -> Result<Self> {
        let form = match advise.record_shift() {
            0 => Form::Lengths,
            1 => Form::Addresses,
            2 => Form::Starts,
            _ => Form::LongStarts,
        };
        Ok(Self {
            pos: align_up(pos, form.size())?,
            form,
            bits,
            count,
            advise,
        })
    }

    /// The extent of a file of `size` bytes that holds byte `pos`, which is below that.
    pub(super) fn extent<S: Source>(
        &self,
        src: &mut S,
        block: BlockBits,
        size: u64,
        pos: u64,
    ) -> Result<Found> {
        let number = self.bits.number(pos);
        let record = match self.form {
            Form::Lengths => self.length(src, number)?,
            Form::Addresses => self.address(src, number)?,
            Form::Starts | Form::LongStarts => return self.search(src, block, size, pos),
        };
        let start = self.bits.pos(number);
        let end = start.saturating_add(self.bits.size());
        Ok(Found {
            start,
            end: end.min(size),
            place: self.place(block, &record, end >= size)?,
        })
    }

    /// The position of record `number` of those from `base` on.
    fn record_pos(&self, base: u64, number: u64) -> Result<u64> {
        let offset = number.checked_mul(self.form.size());
        after(base, offset.unwrap_or(u64::MAX))
    }

    /// The first `len` bytes of a record, as many as it has; the others are zeros.
    fn read<S: Source>(&self, src: &mut S, number: u64, len: usize) -> Result<Raw> {
        let mut raw = Raw::new_zeroed();
        let pos = self.record_pos(self.pos, number)?;
        if let Some(bytes) = raw.as_mut_bytes().get_mut(..len) {
            src.read(pos, bytes)?;
        }
        Ok(raw)
    }

    fn address<S: Source>(&self, src: &mut S, number: u64) -> Result<Record> {
        let raw = self.read(src, number, 8)?;
        Ok(Record {
            plen: raw.plen.get(),
            pstart: raw.pstart_lo.get().into(),
        })
    }

    /// A record without an address: that is the sum of what is stored before.
    fn length<S: Source>(&self, src: &mut S, number: u64) -> Result<Record> {
        if number > MAX_LENGTHS {
            return Err(Error::unsupported("too many extents without addresses"));
        }
        // The address of the first one, as 8 bytes.
        let mut pstart = u64::from_le_bytes(src.array::<8>(self.pos)?);
        let base = after(self.pos, 8)?;
        // Read before the others, as the number from a bogus size does not get past this.
        let plen = u32::from_le_bytes(src.array::<4>(self.record_pos(base, number)?)?);

        let mut batch = [U32::ZERO; BATCH];
        let mut done = 0u64;
        while done < number {
            let pos = self.record_pos(base, done)?;
            let room = (BATCH as u64).saturating_sub(pos / self.form.size() % BATCH as u64);
            let n = room.min(number.saturating_sub(done));
            let Some(lengths) = usize::try_from(n).ok().and_then(|n| batch.get_mut(..n)) else {
                break;
            };
            src.read(pos, lengths.as_mut_bytes())?;
            let lengths = lengths.iter().map(|it| u64::from(it.get() & PLEN_MASK));
            pstart = after(pstart, lengths.fold(0, u64::saturating_add))?;
            done = done.saturating_add(n);
        }
        Ok(Record { plen, pstart })
    }

    /// Searches the records that say where their extent starts.
    ///
    /// Before the first one is a hole, be there a first one or not.
    fn search<S: Source>(
        &self,
        src: &mut S,
        block: BlockBits,
        size: u64,
        pos: u64,
    ) -> Result<Found> {
        let (mut start, mut end, mut found) = (0, size, None);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.saturating_add(high.saturating_sub(low) / 2);
            let raw = self.read(src, middle, if self.form == Form::Starts { 16 } else { 20 })?;
            let lstart = u64::from(raw.lstart_hi.get()) << 32 | u64::from(raw.lstart_lo.get());
            if lstart < start || lstart > end {
                return Err(Error::corrupt("extents out of order"));
            }
            if lstart > pos {
                high = middle;
                end = lstart;
                continue;
            }
            low = middle.saturating_add(1);
            if lstart == pos {
                // The next one tells the end.
                high = high.min(low.saturating_add(1));
            }
            start = lstart;
            found = Some(Record {
                plen: raw.plen.get(),
                pstart: u64::from(raw.pstart_hi.get()) << 32 | u64::from(raw.pstart_lo.get()),
            });
        }
        let last = low >= self.count;
        Ok(Found {
            start,
            end,
            place: match found {
                Some(record) => self.place(block, &record, last)?,
                None => Place::Hole,
            },
        })
    }

    fn place(&self, block: BlockBits, record: &Record, last: bool) -> Result<Place> {
        if last && self.advise.fragment() {
            let hi = match self.form {
                Form::Lengths => 0,
                _ => record.pstart << 32,
            };
            return Ok(Place::Fragment {
                offset: hi | u64::from(record.plen),
            });
        }
        let len = record.plen & PLEN_MASK;
        if len == 0 {
            return Ok(Place::Hole);
        }
        let addr = record.pstart;
        let coding = match record.plen >> PLEN_FMT_BIT {
            0 if self.advise.interlaced()
                && block.offset(addr) == 0
                && block.offset(len.into()) == 0 =>
            {
                Coding::Interlaced
            }
            0 => Coding::Shifted,
            format => Coding::Encoded {
                algorithm: Algorithm::from_disk(format.wrapping_sub(1)).ok_or(
                    Error::unsupported("unknown algorithm, please upgrade kernel"),
                )?,
                partial: record.plen & PLEN_PARTIAL != 0,
            },
        };
        let run = Run {
            addr,
            len,
            space: Space::Device,
        };
        Ok(Place::Pcluster { run, coding })
    }
}

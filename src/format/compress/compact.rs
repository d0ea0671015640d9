// SPDX-License-Identifier: GPL-2.0

//! The compact index: packs of entries that share one block address.
//!
//! There are packs of 2 entries in 8 bytes and of 16 entries in 32 bytes. The large ones lie on
//! their size; small ones fill the space before the first of them, and hold what is left behind the
//! last.

use super::super::after;
use super::super::BlockBits;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::lclusters::head_type;
use super::lclusters::Entry;
use super::lclusters::Head;
use super::lclusters::HeadType;
use super::lclusters::Index;
use super::lclusters::Nonhead;
use super::lclusters::CBLKCNT;

/// Refuses what a compact index cannot do.
pub(super) fn check(index: &Index, block: BlockBits, size: u64) -> Result<()> {
    if index.bits.get() > 14 {
        return Err(Error::invalid("lclusters too large for the compact index"));
    }
    let large = Regions::new(index, block, size).large;
    if large > 0 && index.bits.get() > 12 {
        return Err(Error::unsupported("lclusters too large for 2-byte entries"));
    }
    Ok(())
}

/// The two forms of a pack.
#[derive(Clone, Copy)]
enum Form {
    /// 4 bytes for an entry.
    Small,
    /// 2 bytes for an entry.
    Large,
}

impl Form {
    /// As a shift.
    fn entries(self) -> u32 {
        match self {
            Self::Small => 1,
            Self::Large => 4,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Small => 8,
            Self::Large => 32,
        }
    }

    /// The bits of an entry.
    fn width(self) -> u32 {
        match self {
            Self::Small => 16,
            Self::Large => 14,
        }
    }
}

/// Where which packs are.
struct Regions {
    base: u64,
    /// The entries in small packs before the large ones.
    initial: u64,
    /// The entries in large packs.
    large: u64,
}

impl Regions {
    fn new(index: &Index, block: BlockBits, size: u64) -> Self {
        // The C driver counts blocks, also where lclusters are larger.
        let entries = block.count(size);
        // The map header ends on 8 bytes, so this is even.
        let initial = index.pos.wrapping_neg() % 32 / 4;
        let large = match entries.checked_sub(initial) {
            Some(left) if index.advise.compacted_2b() => left & !15,
            _ => 0,
        };
        Self {
            base: index.pos,
            initial: if large == 0 { 0 } else { initial },
            large,
        }
    }

    /// The pack of an entry, and the entry's number in it.
    fn find(&self, lcn: u64) -> Result<(u64, Form, u32)> {
        let large_pos = after(self.base, self.initial.saturating_mul(4))?;
        let (region, form, entry) = match lcn.checked_sub(self.initial) {
            None => (self.base, Form::Small, lcn),
            Some(entry) if entry < self.large => (large_pos, Form::Large, entry),
            Some(entry) => {
                let small_pos = after(large_pos, self.large.saturating_mul(2))?;
                let entry = entry.saturating_sub(self.large);
                (small_pos, Form::Small, entry)
            }
        };
        let pack = entry >> form.entries();
        let offset = pack.saturating_mul(form.bytes() as u64);
        let first = pack << form.entries();
        let number = u32::try_from(entry.saturating_sub(first)).unwrap_or(0);
        Ok((after(region, offset)?, form, number))
    }
}

/// A pack, copied out.
struct Pack {
    /// `u64::MAX`: none yet.
    pos: u64,
    form: Form,
    bytes: [u8; 32],
}

impl Pack {
    const NONE: Self = Self {
        pos: u64::MAX,
        form: Form::Small,
        bytes: [0; 32],
    };

    fn read<S: Source>(src: &mut S, pos: u64, form: Form) -> Result<Self> {
        let mut pack = Self {
            pos,
            form,
            ..Self::NONE
        };
        match form {
            Form::Small => {
                if let Some(bytes) = pack.bytes.first_chunk_mut() {
                    *bytes = src.array::<8>(pos)?;
                }
            }
            Form::Large => src.read(pos, &mut pack.bytes)?,
        }
        Ok(pack)
    }

    fn u32(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The block address that those of heads are counted from.
    fn base(&self) -> u32 {
        self.u32(self.form.bytes().saturating_sub(4))
    }

    /// Entry `number`: its type and its value, which has `value_bits` bits.
    fn entry(&self, number: u32, value_bits: u32) -> (Option<HeadType>, u32) {
        let bit = number.saturating_mul(self.form.width());
        let word = self.u32((bit / 8) as usize) >> (bit % 8);
        let value_bits = value_bits & 15;
        (
            head_type(word >> value_bits),
            word & (1u32 << value_bits).wrapping_sub(1),
        )
    }
}

pub(super) struct Entries<'a, S> {
    src: &'a mut S,
    regions: Regions,
    /// How many bits an entry has below its type.
    value_bits: u32,
    big: bool,
    /// The last one that was read.
    pack: Pack,
}

impl<'a, S: Source> Entries<'a, S> {
    pub(super) fn new(src: &'a mut S, index: &Index, block: BlockBits, size: u64) -> Self {
        Self {
            src,
            regions: Regions::new(index, block, size),
            value_bits: index.bits.get().max(12),
            big: index.advise.big_pcluster_1(),
            pack: Pack::NONE,
        }
    }

    /// The block address of the head that is entry `number` of the pack at hand.
    fn blkaddr(&self, number: u32) -> Result<u64> {
        // Blocks of the pclusters before the last one, and of the last one, before the entry.
        let (mut before, mut last) = (0u32, 0);
        for number in 0..number {
            match self.pack.entry(number, self.value_bits) {
                (Some(_), _) => {
                    before = before.saturating_add(last);
                    last = 1;
                }
                (None, value) if value & CBLKCNT != 0 => last = value & !CBLKCNT,
                // Only the first one behind a head is so near, and that has the number of blocks.
                (None, value) if self.big && value <= 1 => {
                    return Err(Error::corrupt("bogus distance in a big pcluster"));
                }
                (None, _) => (),
            }
        }
        // Where all pclusters have one block, the base is that of the one before.
        let skipped = if self.big { 0 } else { 1 };
        let blocks = before.saturating_add(last).saturating_add(skipped);
        Ok(u64::from(self.pack.base()).saturating_add(blocks.into()))
    }
}

impl<S: Source> super::lclusters::Entries for Entries<'_, S> {
    fn load(&mut self, lcn: u64) -> Result<Entry> {
        let (pos, form, number) = self.regions.find(lcn)?;
        if self.pack.pos != pos {
            self.pack = Pack::read(self.src, pos, form)?;
        }
        let (head, value) = self.pack.entry(number, self.value_bits);
        if let Some(kind) = head {
            return Ok(Entry::Head(Head {
                kind,
                clusterofs: value.into(),
                blkaddr: self.blkaddr(number)?,
                partial: false,
                hole: false,
            }));
        }
        let last = number.saturating_add(1) == 1 << form.entries();
        let (back, forward, blocks) = match value & CBLKCNT {
            // The last one of a pack knows the way forward, the others that back. The neighbour
            // knows the other way, as long as it is in the pack.
            0 if last => (1, value.into(), None),
            0 => (value.into(), 1, None),
            _ if self.big => (1, 1, Some(value & !CBLKCNT)),
            _ => return Err(Error::corrupt("CBLKCNT without big pclusters")),
        };
        Ok(Entry::Nonhead(Nonhead {
            back,
            forward,
            blocks,
        }))
    }

    fn end(&self, lcn: u64) -> Result<u64> {
        let (pos, form, _) = self.regions.find(lcn)?;
        after(pos, form.bytes() as u64)
    }
}

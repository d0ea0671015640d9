// SPDX-License-Identifier: GPL-2.0

//! The full index: 8 bytes for each lcluster.

use super::super::after;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::lclusters::head_type;
use super::lclusters::Entry;
use super::lclusters::Head;
use super::lclusters::Index;
use super::lclusters::Nonhead;
use super::lclusters::CBLKCNT;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// `struct z_erofs_lcluster_index`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    di_advise: U16,
    di_clusterofs: U16,
    /// `blkaddr` of a head, `delta[2]` of a nonhead.
    di_u: U32,
}

const SIZE: u64 = 8;

const _: () = assert!(size_of::<Raw>() as u64 == SIZE);

/// `Z_EROFS_LI_HOLE`.
const HOLE: u16 = 1 << 14;
/// `Z_EROFS_LI_PARTIAL_REF`.
const PARTIAL_REF: u16 = 1 << 15;

/// Reserved bytes between the map header and the index.
const GAP: u64 = 8;

/// Refuses what a full index cannot do.
pub(super) fn check(index: &Index) -> Result<()> {
    if index.bits.get() > 15 {
        return Err(Error::unsupported("lclusters too large for the full index"));
    }
    Ok(())
}

pub(super) struct Entries<'a, S> {
    src: &'a mut S,
    /// The position of the map header's end.
    base: u64,
    big: bool,
}

impl<'a, S: Source> Entries<'a, S> {
    pub(super) fn new(src: &'a mut S, index: &Index) -> Self {
        Self {
            src,
            base: index.pos,
            big: index.advise.big_pcluster_1() || index.advise.big_pcluster_2(),
        }
    }

    fn pos(&self, lcn: u64) -> Result<u64> {
        let offset = lcn.checked_mul(SIZE).and_then(|it| it.checked_add(GAP));
        after(self.base, offset.unwrap_or(u64::MAX))
    }
}

impl<S: Source> super::lclusters::Entries for Entries<'_, S> {
    fn load(&mut self, lcn: u64) -> Result<Entry> {
        let raw: Raw = zerocopy::transmute!(self.src.array::<8>(self.pos(lcn)?)?);
        let advise = raw.di_advise.get();
        let value = raw.di_u.get();
        if let Some(kind) = head_type(advise.into()) {
            return Ok(Entry::Head(Head {
                kind,
                clusterofs: raw.di_clusterofs.get().into(),
                blkaddr: value.into(),
                partial: advise & PARTIAL_REF != 0,
                hole: advise & HOLE != 0,
            }));
        }
        let (back, forward) = (value & 0xffff, value >> 16);
        let blocks = match back & CBLKCNT {
            0 => None,
            _ if self.big => Some(back & !CBLKCNT),
            _ => return Err(Error::corrupt("CBLKCNT without big pclusters")),
        };
        Ok(Entry::Nonhead(Nonhead {
            back: if blocks.is_some() { 1 } else { back.into() },
            forward: forward.into(),
            blocks,
        }))
    }

    fn end(&self, lcn: u64) -> Result<u64> {
        after(self.pos(lcn)?, SIZE)
    }
}

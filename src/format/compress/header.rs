// SPDX-License-Identifier: GPL-2.0

//! The map header: `struct z_erofs_map_header`.

use super::super::after;
use super::super::align_up;
use super::super::inode::Body;
use super::super::inode::Layout;
use super::super::superblock::Superblock;
use super::super::Error;
use super::super::Result;
use super::super::Source;
use super::extents;
use super::lclusters;
use super::Algorithm;
use super::ClusterBits;
use super::Kind;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// `struct z_erofs_map_header`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    /// `h_fragmentoff`, `h_extents_lo`, or 2 reserved bytes and `h_idata_size`.
    h_u: U32,
    h_advise: U16,
    /// 4 bits for HEAD1, 4 for HEAD2; with `h_clusterbits` also `h_extents_hi`.
    h_algorithmtype: u8,
    /// 4 bits that an lcluster has more than a block, 3 reserved; the last: see [`WHOLE_FRAGMENT`].
    h_clusterbits: u8,
}

/// The size of the header, which the index follows.
const SIZE: u64 = 8;

const _: () = assert!(size_of::<Raw>() as u64 == SIZE);

/// `Z_EROFS_FRAGMENT_INODE_BIT`, of all 8 bytes: the others are the fragment's offset.
const WHOLE_FRAGMENT: u64 = 1 << 63;

/// `Z_EROFS_ADVISE_*`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advise(u16);

impl Advise {
    const COMPACTED_2B: u16 = 0x01;
    /// With the full index only.
    const EXTENTS: u16 = 0x01;
    const BIG_PCLUSTER_1: u16 = 0x02;
    const BIG_PCLUSTER_2: u16 = 0x04;
    const INLINE_PCLUSTER: u16 = 0x08;
    const INTERLACED_PCLUSTER: u16 = 0x10;
    const FRAGMENT_PCLUSTER: u16 = 0x20;

    fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// Entries of the compact index have 2 bytes where they can.
    pub(super) fn compacted_2b(self) -> bool {
        self.has(Self::COMPACTED_2B)
    }

    /// Pclusters of HEAD1 may have several blocks.
    pub(super) fn big_pcluster_1(self) -> bool {
        self.has(Self::BIG_PCLUSTER_1)
    }

    /// Pclusters of HEAD2 and of plain data may have several blocks.
    pub(super) fn big_pcluster_2(self) -> bool {
        self.has(Self::BIG_PCLUSTER_2)
    }

    /// Plain pclusters are interlaced.
    pub(super) fn interlaced(self) -> bool {
        self.has(Self::INTERLACED_PCLUSTER)
    }

    /// The last extent is a fragment.
    pub(super) fn fragment(self) -> bool {
        self.has(Self::FRAGMENT_PCLUSTER)
    }

    /// Records of a table of extents are 4 bytes shifted by this.
    pub(super) fn record_shift(self) -> u16 {
        self.0 >> 1 & 3
    }
}

/// Reads the header of the file, and of its index what tells the last extent.
pub(super) fn read<S: Source>(
    src: &mut S,
    sb: &Superblock,
    body: &Body,
    size: u64,
) -> Result<Kind> {
    let pos = align_up(body.data_pos()?, SIZE)?;
    let bytes = src.array::<8>(pos)?;
    let index_pos = after(pos, SIZE)?;

    let word = u64::from_le_bytes(bytes);
    if word & WHOLE_FRAGMENT != 0 {
        return Ok(Kind::Fragment {
            offset: word & !WHOLE_FRAGMENT,
        });
    }
    let raw: Raw = zerocopy::transmute!(bytes);
    let advise = Advise(raw.h_advise.get());
    let bits = ClusterBits::new(sb.block, raw.h_clusterbits);
    let compact = match body.layout {
        Layout::Compressed { full } => !full,
        _ => return Err(Error::invalid("not a compressed inode")),
    };
    if !compact && advise.has(Advise::EXTENTS) {
        let count = u64::from(raw.h_clusterbits) << 40
            | u64::from(raw.h_algorithmtype) << 32
            | u64::from(raw.h_u.get());
        return Ok(Kind::Extents(extents::Table::new(
            index_pos, advise, bits, count,
        )?));
    }

    let algorithms = [raw.h_algorithmtype & 15, raw.h_algorithmtype >> 4];
    let [Some(algorithm1), Some(algorithm2)] =
        algorithms.map(|number| Algorithm::from_disk(number.into()))
    else {
        return Err(Error::unsupported(
            "unknown HEAD format, please upgrade kernel",
        ));
    };
    check_big_pclusters(sb, advise, compact)?;
    let index = lclusters::Index {
        pos: index_pos,
        advise,
        bits,
        algorithms: [algorithm1, algorithm2],
        compact,
        tail: None,
    };
    index.with_tail(src, sb.block, size, tail(&raw, advise))
}

fn check_big_pclusters(sb: &Superblock, advise: Advise, compact: bool) -> Result<()> {
    let big = [advise.big_pcluster_1(), advise.big_pcluster_2()];
    if big.contains(&true) && !sb.has_big_pcluster() {
        return Err(Error::corrupt("per-inode big pcluster without sb feature"));
    }
    if compact && big[0] != big[1] {
        return Err(Error::corrupt(
            "big pcluster head1/2 of compact indexes should be consistent",
        ));
    }
    Ok(())
}

/// What the header says of the last extent, if that is not like the others.
fn tail(raw: &Raw, advise: Advise) -> Option<lclusters::TailHint> {
    let value = raw.h_u.get();
    if advise.fragment() {
        return Some(lclusters::TailHint::Fragment { offset_lo: value });
    }
    match value >> 16 {
        len if len != 0 && advise.has(Advise::INLINE_PCLUSTER) => {
            Some(lclusters::TailHint::Inline { len })
        }
        _ => None,
    }
}

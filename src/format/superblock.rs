// SPDX-License-Identifier: GPL-2.0

//! The superblock: where everything starts, and whether this driver may go on at all.

use super::compress::config;
use super::compress::Algorithm;
use super::inode::Nid;
use super::read_value;
use super::BlockBits;
use super::Error;
use super::Kind;
use super::Result;
use super::Source;
use core::mem::offset_of;
use zerocopy::little_endian::I64;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy::little_endian::U64;
use zerocopy::IntoBytes;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// `EROFS_SUPER_MAGIC_V1`, also the type that statfs tells.
pub(crate) const MAGIC: u32 = 0xe0f5_e1e2;

/// The superblock's position, whatever the block size.
const POS: u64 = 1024;
/// The superblock's size without extension slots.
const BASE_SIZE: u32 = 128;

/// Compatible features: unknown ones are ignored.
mod compat {
    pub(super) const SB_CHKSUM: u32 = 0x01;
    pub(super) const XATTR_FILTER: u32 = 0x04;
    pub(super) const SHARED_EA_IN_METABOX: u32 = 0x08;
    pub(super) const PLAIN_XATTR_PFX: u32 = 0x10;
    pub(super) const ISHARE_XATTRS: u32 = 0x20;
}

/// Incompatible features: unknown ones end the mount.
mod incompat {
    pub(super) const LZ4_0PADDING: u32 = 0x001;
    pub(super) const COMPR_CFGS: u32 = 0x002;
    pub(super) const DEVICE_TABLE: u32 = 0x008;
    pub(super) const FRAGMENTS: u32 = 0x020;
    pub(super) const BIT48: u32 = 0x080;
    pub(super) const METABOX: u32 = 0x100;
    pub(super) const ALL: u32 = 0x1ff;
}

/// `struct erofs_super_block`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    magic: U32,
    checksum: U32,
    feature_compat: U32,
    blkszbits: u8,
    sb_extslots: u8,
    /// `rootnid_2b` or `blocks_hi`.
    rb: U16,

    inos: U64,
    epoch: I64,

    fixed_nsec: U32,
    blocks_lo: U32,
    meta_blkaddr: U32,
    xattr_blkaddr: U32,

    uuid: [u8; 16],

    volume_name: [u8; 16],

    feature_incompat: U32,
    /// `available_compr_algs` or `lz4_max_distance`.
    u1: U16,
    extra_devices: U16,
    devt_slotoff: U16,
    dirblkbits: u8,
    xattr_prefix_count: u8,
    xattr_prefix_start: U32,

    packed_nid: U64,
    xattr_filter_reserved: u8,
    ishare_xattr_prefix_id: u8,
    reserved: [u8; 2],
    build_time: U32,

    rootnid_8b: U64,
    reserved2: U64,

    // Extension slot 1: not to be looked at unless `sb_extslots` says that it is there.
    metabox_nid: U64,
    reserved3: U64,
}

const _: () = assert!(size_of::<Raw>() == 144);
const _: () = assert!(offset_of!(Raw, volume_name) == 64);
const _: () = assert!(offset_of!(Raw, packed_nid) == 96);
const _: () = assert!(offset_of!(Raw, metabox_nid) == 128);

/// `struct erofs_deviceslot`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct RawSlot {
    /// Text for people: what the device is found by is given at mount.
    tag: [u8; 64],
    blocks_lo: U32,
    uniaddr_lo: U32,
    blocks_hi: U16,
    uniaddr_hi: U16,
    reserved: [u8; 52],
}

const DEVT_SLOT_SIZE: u64 = 128;
const _: () = assert!(size_of::<RawSlot>() as u64 == DEVT_SLOT_SIZE);
const _: () = assert!(offset_of!(RawSlot, blocks_hi) == 72);

/// A slot of the device table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceSlot {
    /// Blocks of the device.
    pub(crate) blocks: u64,
    /// Its first block in the unified space; 0: it has none there.
    pub(crate) uniaddr: u64,
}

/// What one mount keeps of its superblock.
#[derive(Clone)]
pub(crate) struct Superblock {
    pub(crate) block: BlockBits,
    feature_compat: u32,
    feature_incompat: u32,
    /// Blocks of the primary device.
    pub(crate) blocks: u64,
    /// The number of inodes, for statfs only.
    pub(crate) inos: u64,
    pub(crate) root_nid: Nid,
    /// Byte position that ordinary nids are relative to.
    pub(crate) meta_pos: u64,
    /// Byte position that ids of shared xattrs are relative to.
    pub(crate) xattr_pos: u64,
    /// Seconds that compact inodes count from.
    pub(crate) epoch: i64,
    /// Nanoseconds of all compact inodes.
    pub(crate) fixed_nsec: u32,
    /// All zero: none.
    pub(crate) uuid: [u8; 16],
    /// NUL-padded; the first byte 0: none.
    pub(crate) volume_name: [u8; 16],
    /// Slots of the device table; 0 without the feature.
    pub(crate) extra_devices: u16,
    /// Byte position of the device table.
    devt_pos: u64,
    pub(crate) xattr_prefix_count: u8,
    /// Byte position of the prefix table, in the space that [`super::xattr::prefix_space`] tells.
    pub(crate) xattr_prefix_pos: u64,
    /// Inodes carry name filters that may be trusted.
    pub(crate) xattr_filter: bool,
    /// Index of the long prefix that names the fingerprint xattr.
    pub(crate) ishare_prefix: Option<u8>,
    /// The inode whose content is fragments of others.
    pub(crate) packed_nid: Option<Nid>,
    /// The inode whose content is a space of inodes, see [`Nid::in_metabox`].
    pub(crate) metabox_nid: Option<Nid>,
    /// The compression algorithms that inodes may use: bit n is algorithm n.
    pub(crate) algorithms: u16,
    /// How far Zstandard frames reach back, as a shift: 10 to 20. 0 without that algorithm.
    pub(crate) zstd_window_log: u8,
}

impl Superblock {
    /// Reads and checks the superblock of the primary device, in the C driver's order.
    ///
    /// `crc32c` is the kernel's: CRC-32C of the bytes, from a running value, without inversions.
    pub(crate) fn read<S: Source>(
        src: &mut S,
        page_size: u32,
        crc32c: fn(u32, &[u8]) -> u32,
    ) -> Result<Self> {
        let mut raw: Raw = read_value(src, POS)?;

        if raw.magic.get() != MAGIC {
            return Err(Error::invalid("cannot find valid erofs superblock"));
        }
        let block = match BlockBits::new(raw.blkszbits) {
            Some(block) if block.size() <= u64::from(page_size) => block,
            _ => return Err(Error::invalid("blkszbits isn't supported")),
        };
        if raw.dirblkbits != 0 {
            return Err(Error::invalid("dirblkbits isn't supported"));
        }
        let feature_compat = raw.feature_compat.get();
        if feature_compat & compat::SB_CHKSUM != 0 {
            verify_checksum(src, &mut raw, block, crc32c)?;
        }
        let feature_incompat = raw.feature_incompat.get();
        if feature_incompat & !incompat::ALL != 0 {
            return Err(Error::invalid(
                "unidentified incompatible feature, please upgrade kernel",
            ));
        }
        let size = BASE_SIZE + 16 * u32::from(raw.sb_extslots);
        if size > page_size.saturating_sub(1024) {
            return Err(Error::invalid("invalid sb_extslots (more than a fs block)"));
        }

        let mut ishare_prefix = None;
        if feature_compat & compat::ISHARE_XATTRS != 0 {
            if raw.ishare_xattr_prefix_id >= raw.xattr_prefix_count {
                return Err(Error::corrupt("invalid ishare xattr prefix id"));
            }
            ishare_prefix = Some(raw.ishare_xattr_prefix_id);
        }
        if feature_incompat & incompat::METABOX != 0
            && (size <= BASE_SIZE || Nid(raw.metabox_nid.get()).in_metabox())
        {
            return Err(Error::corrupt("invalid metabox nid"));
        }

        let config = if feature_incompat & incompat::COMPR_CFGS != 0 {
            config::read(src, POS + u64::from(size), raw.u1.get(), block)?
        } else {
            let lz4 = raw.u1.get() != 0 || feature_incompat & incompat::LZ4_0PADDING != 0;
            config::Config::without_records(lz4)
        };

        // The packed inode is read before the metabox exists.
        let packed_nid = match Nid(raw.packed_nid.get()) {
            Nid(0) => None,
            _ if feature_incompat & incompat::FRAGMENTS == 0 => None,
            nid if nid.in_metabox() => {
                return Err(Error::corrupt("packed inode in the metabox"));
            }
            nid => Some(nid),
        };

        let blocks_lo = u64::from(raw.blocks_lo.get());
        let (root_nid, blocks) = match raw.rootnid_8b.get() {
            nid if nid != 0 && feature_incompat & incompat::BIT48 != 0 => {
                (nid, blocks_lo | u64::from(raw.rb.get()) << 32)
            }
            _ => (u64::from(raw.rb.get()), blocks_lo),
        };
        let extra_devices = if feature_incompat & incompat::DEVICE_TABLE != 0 {
            raw.extra_devices.get()
        } else {
            0
        };

        Ok(Self {
            block,
            feature_compat,
            feature_incompat,
            blocks,
            inos: raw.inos.get(),
            root_nid: Nid(root_nid),
            meta_pos: block.pos(raw.meta_blkaddr.get().into()),
            xattr_pos: block.pos(raw.xattr_blkaddr.get().into()),
            epoch: raw.epoch.get(),
            fixed_nsec: raw.fixed_nsec.get(),
            uuid: raw.uuid,
            volume_name: raw.volume_name,
            extra_devices,
            devt_pos: DEVT_SLOT_SIZE * u64::from(raw.devt_slotoff.get()),
            xattr_prefix_count: raw.xattr_prefix_count,
            xattr_prefix_pos: 4 * u64::from(raw.xattr_prefix_start.get()),
            xattr_filter: feature_compat & compat::XATTR_FILTER != 0
                && raw.xattr_filter_reserved == 0,
            ishare_prefix,
            packed_nid,
            metabox_nid: (feature_incompat & incompat::METABOX != 0)
                .then_some(Nid(raw.metabox_nid.get())),
            algorithms: config.algorithms,
            zstd_window_log: config.zstd_window_log,
        })
    }

    pub(crate) fn has_48bit(&self) -> bool {
        self.feature_incompat & incompat::BIT48 != 0
    }

    pub(crate) fn has_metabox(&self) -> bool {
        self.feature_incompat & incompat::METABOX != 0
    }

    /// Inodes may have pclusters of more than one block.
    pub(crate) fn has_big_pcluster(&self) -> bool {
        self.feature_incompat & incompat::COMPR_CFGS != 0
    }

    /// Inodes may use `algorithm`.
    pub(crate) fn has_algorithm(&self, algorithm: Algorithm) -> bool {
        self.algorithms & algorithm.bit() != 0
    }

    pub(crate) fn shared_xattrs_in_metabox(&self) -> bool {
        self.feature_compat & compat::SHARED_EA_IN_METABOX != 0
    }

    pub(crate) fn plain_xattr_prefixes(&self) -> bool {
        self.feature_compat & compat::PLAIN_XATTR_PFX != 0
    }

    /// The bits of a chunk index's device id that count.
    pub(crate) fn device_id_mask(&self) -> u16 {
        u16::MAX
            .checked_shr(self.extra_devices.leading_zeros())
            .unwrap_or(0)
    }

    /// Slot `number` of the device table, from 0 on.
    pub(crate) fn device_slot<S: Source>(&self, src: &mut S, number: u16) -> Result<DeviceSlot> {
        let pos = DEVT_SLOT_SIZE * u64::from(number);
        let raw: RawSlot = read_value(src, self.devt_pos.wrapping_add(pos))?;
        // Elsewhere the high halves are not defined.
        let join = |lo: U32, hi: U16| match self.has_48bit() {
            true => u64::from(hi.get()) << 32 | u64::from(lo.get()),
            false => lo.get().into(),
        };
        Ok(DeviceSlot {
            blocks: join(raw.blocks_lo, raw.blocks_hi),
            uniaddr: join(raw.uniaddr_lo, raw.uniaddr_hi),
        })
    }

    /// The inode number that users see.
    ///
    /// With a metabox, its flag moves to bit 31 so that numbers stay small.
    pub(crate) fn ino(&self, nid: Nid) -> u64 {
        if !self.has_metabox() {
            return nid.0;
        }
        const LOW: u64 = (1 << 31) - 1;
        (nid.slot() & !LOW) << 1 | u64::from(nid.in_metabox()) << 31 | nid.slot() & LOW
    }
}

/// Checks the rest of the superblock's block as well, which the checksum covers.
fn verify_checksum<S: Source>(
    src: &mut S,
    raw: &mut Raw,
    block: BlockBits,
    crc32c: fn(u32, &[u8]) -> u32,
) -> Result<()> {
    let expected = raw.checksum.get();
    raw.checksum = U32::ZERO;
    let mut crc = crc32c(u32::MAX, raw.as_bytes());

    // To the end of the first block; where that ends before the superblock, a block's length.
    let end = if block.size() > POS {
        block.size()
    } else {
        POS + block.size()
    };
    let mut pos = POS + size_of::<Raw>() as u64;
    let mut buf = [0; 256];
    while pos < end {
        let left = usize::try_from(end.wrapping_sub(pos)).unwrap_or(usize::MAX);
        let Some(part) = buf.get_mut(..left.min(256)) else {
            break;
        };
        src.read(pos, part)?;
        crc = crc32c(crc, part);
        pos = pos.wrapping_add(part.len() as u64);
    }
    if crc != expected {
        return Err(Error::new(Kind::Checksum, "invalid checksum"));
    }
    Ok(())
}

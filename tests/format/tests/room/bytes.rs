// SPDX-License-Identifier: GPL-2.0

//! Spaces made by hand, and what the kernel lends the room.

use crate::format::dir;
use crate::format::superblock::Superblock;
use crate::format::Error;
use crate::format::Result;
use crate::format::Source;

/// A space of bytes; the error number beyond its end is this.
pub(crate) const EIO: i32 = 5;

/// Bytes that count how often they are read.
#[derive(Clone, Default)]
pub(crate) struct Bytes {
    pub(crate) data: Vec<u8>,
    pub(crate) reads: usize,
}

impl Bytes {
    pub(crate) fn new(data: impl Into<Vec<u8>>) -> Self {
        Self {
            data: data.into(),
            reads: 0,
        }
    }

    pub(crate) fn zeroed(len: usize) -> Self {
        Self::new(vec![0; len])
    }

    pub(crate) fn put(&mut self, pos: usize, bytes: &[u8]) -> &mut Self {
        self.data[pos..pos + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn u8(&mut self, pos: usize, value: u8) -> &mut Self {
        self.put(pos, &[value])
    }

    pub(crate) fn u16(&mut self, pos: usize, value: u16) -> &mut Self {
        self.put(pos, &value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, pos: usize, value: u32) -> &mut Self {
        self.put(pos, &value.to_le_bytes())
    }

    pub(crate) fn i64(&mut self, pos: usize, value: i64) -> &mut Self {
        self.put(pos, &value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, pos: usize, value: u64) -> &mut Self {
        self.put(pos, &value.to_le_bytes())
    }
}

/// Copies a range of `data` out, as every source here does.
pub(crate) fn copy(data: &[u8], pos: u64, buf: &mut [u8]) -> Result<()> {
    let part = usize::try_from(pos)
        .ok()
        .and_then(|start| data.get(start..start.checked_add(buf.len())?))
        .ok_or(Error::os(EIO, "beyond the end"))?;
    buf.copy_from_slice(part);
    Ok(())
}

impl Source for Bytes {
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()> {
        self.reads += 1;
        copy(&self.data, pos, buf)
    }
}

/// A directory block, copied out.
pub(crate) struct View(pub(crate) Vec<u8>);

impl dir::View for View {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).expect("at most a block")
    }

    fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.0.get(at as usize..)?.first_chunk().copied()
    }
}

/// A block of the directory that `src` is the content of.
pub(crate) fn block(src: &mut impl Source, pos: u64, len: u32) -> Result<View> {
    let mut block = vec![0; len as usize];
    src.read(pos, &mut block)?;
    Ok(View(block))
}

impl dir::Blocks for Bytes {
    type View = View;

    fn block(&mut self, pos: u64, len: u32) -> Result<View> {
        block(self, pos, len)
    }
}

/// CRC-32C as the kernel has it: no inversion before or after.
pub(crate) fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!crc, bytes)
}

pub(crate) fn xxh32(bytes: &[u8], seed: u32) -> u32 {
    xxhash_rust::xxh32::xxh32(bytes, seed)
}

/// Offsets in a superblock, from the start of the image.
pub(crate) mod sb {
    pub(crate) const CHECKSUM: usize = 1028;
    pub(crate) const COMPAT: usize = 1032;
    pub(crate) const BLKSZBITS: usize = 1036;
    pub(crate) const EXTSLOTS: usize = 1037;
    pub(crate) const RB: usize = 1038;
    pub(crate) const EPOCH: usize = 1048;
    pub(crate) const FIXED_NSEC: usize = 1056;
    pub(crate) const BLOCKS: usize = 1060;
    pub(crate) const META: usize = 1064;
    pub(crate) const XATTR: usize = 1068;
    pub(crate) const INCOMPAT: usize = 1104;
    pub(crate) const U1: usize = 1108;
    pub(crate) const DEVICES: usize = 1110;
    pub(crate) const DEVICE_TABLE: usize = 1112;
    pub(crate) const DIRBLKBITS: usize = 1114;
    pub(crate) const PREFIX_COUNT: usize = 1115;
    pub(crate) const PREFIX_START: usize = 1116;
    pub(crate) const PACKED: usize = 1120;
    pub(crate) const FILTER_RESERVED: usize = 1128;
    pub(crate) const ISHARE: usize = 1129;
    pub(crate) const ROOT_8B: usize = 1136;
    pub(crate) const METABOX: usize = 1152;
}

/// 16 KiB of image with a superblock of 4 KiB blocks and nothing else.
pub(crate) fn image() -> Bytes {
    let mut image = Bytes::zeroed(16384);
    image
        .u32(1024, 0xe0f5_e1e2)
        .u8(sb::BLKSZBITS, 12)
        .u16(sb::RB, 36)
        .u32(sb::BLOCKS, 4);
    image
}

pub(crate) fn mount(image: &mut Bytes) -> Result<Superblock> {
    Superblock::read(image, 4096, crc32c)
}

/// The superblock of [`image`] with some changes.
pub(crate) fn superblock(change: impl FnOnce(&mut Bytes)) -> Superblock {
    let mut image = image();
    change(&mut image);
    mount(&mut image).expect("a good superblock")
}

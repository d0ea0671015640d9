// SPDX-License-Identifier: GPL-2.0

//! Inodes: what a file is, and where its bytes start.

use super::read_value;
use super::superblock::Superblock;
use super::Error;
use super::Result;
use super::Source;
use core::mem::offset_of;
use zerocopy::little_endian::I64;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy::little_endian::U64;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

/// A node number: a slot of 32 bytes, on the primary device or in the metabox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nid(pub(crate) u64);

impl Nid {
    const METABOX: u64 = 1 << 63;

    /// The inode, its xattrs and its inline data lie in the metabox's content.
    pub(crate) fn in_metabox(self) -> bool {
        self.0 & Self::METABOX != 0
    }

    pub(crate) fn slot(self) -> u64 {
        self.0 & !Self::METABOX
    }

    /// The byte position of the inode in its space.
    pub(crate) fn pos(self, sb: &Superblock) -> Result<u64> {
        let base = match (self.in_metabox(), sb.has_metabox()) {
            (true, false) => return Err(Error::corrupt("nid in a metabox that is not there")),
            (true, true) => 0,
            (false, _) => sb.meta_pos,
        };
        self.slot()
            .checked_mul(size_of::<Compact>() as u64)
            .and_then(|pos| pos.checked_add(base))
            .ok_or(Error::corrupt("nid beyond 2^64"))
    }
}

/// `struct erofs_inode_compact`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Compact {
    i_format: U16,
    i_xattr_icount: U16,
    i_mode: U16,
    i_nb: U16,
    i_size: U32,
    i_mtime: U32,

    i_u: U32,
    i_ino: U32,
    i_uid: U16,
    i_gid: U16,
    i_reserved: U32,
}

/// `struct erofs_inode_extended`, seen from its first 32 bytes on.
///
/// Those are read as a [`Compact`] first, for the format that tells which of both it is.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct ExtendedHead {
    i_format: U16,
    i_xattr_icount: U16,
    i_mode: U16,
    i_nb: U16,
    i_size: U64,

    i_u: U32,
    i_ino: U32,
    i_uid: U32,
    i_gid: U32,
}

/// The second half of `struct erofs_inode_extended`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct ExtendedTail {
    i_mtime: I64,
    i_mtime_nsec: U32,
    i_nlink: U32,

    i_reserved2: [u8; 16],
}

const _: () = assert!(size_of::<Compact>() == 32);
const _: () = assert!(size_of::<ExtendedHead>() == 32 && size_of::<ExtendedTail>() == 32);
const _: () = assert!(offset_of!(ExtendedHead, i_uid) == 24);

/// `i_format`, decoded.
struct Format {
    extended: bool,
    layout: u16,
    /// Bit 4: `.` is omitted (directories), the link count is 1 (other compact inodes).
    bit4: bool,
}

impl Format {
    const ALL: u16 = 0x1f;

    fn new(raw: u16) -> Result<Self> {
        if raw & !Self::ALL != 0 {
            return Err(Error::unsupported("unsupported i_format"));
        }
        let layout = raw >> 1 & 7;
        if layout > layout::CHUNK_BASED {
            return Err(Error::unsupported("unsupported datalayout"));
        }
        Ok(Self {
            extended: raw & 1 != 0,
            layout,
            bit4: raw & 0x10 != 0,
        })
    }
}

mod layout {
    pub(super) const FLAT_PLAIN: u16 = 0;
    pub(super) const COMPRESSED_FULL: u16 = 1;
    pub(super) const FLAT_INLINE: u16 = 2;
    pub(super) const COMPRESSED_COMPACT: u16 = 3;
    pub(super) const CHUNK_BASED: u16 = 4;
}

/// The file type bits of a mode, as in `<linux/stat.h>`.
mod mode {
    pub(super) const IFMT: u16 = 0o170_000;
    pub(super) const IFIFO: u16 = 0o010_000;
    pub(super) const IFCHR: u16 = 0o020_000;
    pub(super) const IFDIR: u16 = 0o040_000;
    pub(super) const IFBLK: u16 = 0o060_000;
    pub(super) const IFREG: u16 = 0o100_000;
    pub(super) const IFLNK: u16 = 0o120_000;
    pub(super) const IFSOCK: u16 = 0o140_000;
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    Fifo,
    Char,
    Directory,
    Block,
    Regular,
    Symlink,
    Socket,
}

impl FileType {
    fn new(mode: u16) -> Result<Self> {
        Ok(match mode & mode::IFMT {
            mode::IFIFO => Self::Fifo,
            mode::IFCHR => Self::Char,
            mode::IFDIR => Self::Directory,
            mode::IFBLK => Self::Block,
            mode::IFREG => Self::Regular,
            mode::IFLNK => Self::Symlink,
            mode::IFSOCK => Self::Socket,
            _ => return Err(Error::corrupt("bogus i_mode")),
        })
    }
}

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One run of blocks from block `start` on; `None`: a hole over the whole size.
    Plain { start: Option<u64> },
    /// The same, but the last block lies behind the inode's xattrs.
    Inline { start: u64 },
    /// Pieces of `1 << bits` bytes, each with an entry behind the inode's xattrs.
    Chunk {
        bits: u8,
        /// 8-byte entries, with device ids.
        indexes: bool,
        /// Their addresses have 48 bits.
        wide: bool,
    },
    /// Compressed; `full`: with the full index, or extents.
    Compressed { full: bool },
}

/// What mapping and xattrs need of an inode for as long as it is in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) layout: Layout,
    /// Where the xattrs start, in the space that the inode lies in: the end of the inode proper.
    pub(crate) xattr_pos: u64,
    /// 0: no xattrs, else at least 12.
    pub(crate) xattr_size: u32,
    /// This directory stores no `.`.
    pub(crate) dot_omitted: bool,
}

// It is a part of every inode in memory.
const _: () = assert!(size_of::<Body>() <= 32);

impl Body {
    /// Where inline data, chunk entries or a compression header follow, before alignment.
    pub(crate) fn data_pos(&self) -> Result<u64> {
        super::after(self.xattr_pos, self.xattr_size.into())
    }
}

/// An inode as the disk has it, to be taken over into the VFS's at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inode {
    pub(crate) file_type: FileType,
    /// File type and permissions, as in `st_mode`.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    /// Below 2^63.
    pub(crate) size: u64,
    /// Seconds; atime and ctime are the same.
    pub(crate) mtime: i64,
    /// Below 10^9.
    pub(crate) mtime_nsec: u32,
    /// Major and minor number of a device node, else zeros.
    pub(crate) rdev: (u32, u32),
    /// Allocated units of 512 bytes, as in `st_blocks`.
    pub(crate) blocks512: u64,
    pub(crate) body: Body,
}

/// What the two inode sizes have in common once they are read.
struct Core {
    icount: u16,
    mode: u16,
    uid: u32,
    gid: u32,
    nlink: u32,
    size: u64,
    mtime: i64,
    mtime_nsec: u32,
    i_u: u32,
    /// The high half of a block address or count.
    hi: u16,
    /// All ones in these bits of `hi` and all of `i_u`: no blocks.
    null_hi: u16,
    len: u64,
}

impl Inode {
    /// Reads an inode from the space that it lies in: see [`Nid::in_metabox`].
    pub(crate) fn read<S: Source>(src: &mut S, sb: &Superblock, nid: Nid) -> Result<Self> {
        let pos = nid.pos(sb)?;
        let head: Compact = read_value(src, pos)?;
        let format = Format::new(head.i_format.get())?;
        let core = if format.extended {
            // It may straddle a block, where the second half is just the next bytes.
            let tail = read_value(src, super::after(pos, size_of::<Compact>() as u64)?)?;
            Core::extended(&zerocopy::transmute!(head), &tail)
        } else {
            Core::compact(&head, &format, sb)
        };
        if core.size >> 63 != 0 {
            return Err(Error::corrupt("negative i_size"));
        }
        let file_type = FileType::new(core.mode)?;
        let (layout, blocks) = core.layout(&format, sb)?;

        Ok(Self {
            file_type,
            mode: core.mode,
            uid: core.uid,
            gid: core.gid,
            nlink: core.nlink,
            size: core.size,
            mtime: core.mtime,
            mtime_nsec: core.mtime_nsec.min(999_999_999),
            rdev: match file_type {
                FileType::Char | FileType::Block => decode_dev(core.i_u),
                _ => (0, 0),
            },
            blocks512: sb.block.pos(blocks) >> 9,
            body: Body {
                layout,
                xattr_pos: super::after(pos, core.len)?,
                xattr_size: xattr_size(core.icount),
                dot_omitted: format.bit4 && file_type == FileType::Directory,
            },
        })
    }
}

impl Core {
    fn compact(raw: &Compact, format: &Format, sb: &Superblock) -> Self {
        let mode = raw.i_mode.get();
        let nb = raw.i_nb.get();
        // The link count and the high half of the address share a field.
        let one_link = format.bit4 && mode & mode::IFMT != mode::IFDIR;
        let (nlink, hi, null_hi) = if one_link {
            (1, nb, u16::MAX)
        } else {
            (nb.into(), 0, 0)
        };
        Self {
            icount: raw.i_xattr_icount.get(),
            mode,
            uid: raw.i_uid.get().into(),
            gid: raw.i_gid.get().into(),
            nlink,
            size: raw.i_size.get().into(),
            mtime: sb.epoch.wrapping_add(raw.i_mtime.get().into()),
            mtime_nsec: sb.fixed_nsec,
            i_u: raw.i_u.get(),
            hi,
            null_hi,
            len: size_of::<Compact>() as u64,
        }
    }

    fn extended(head: &ExtendedHead, tail: &ExtendedTail) -> Self {
        Self {
            icount: head.i_xattr_icount.get(),
            mode: head.i_mode.get(),
            uid: head.i_uid.get(),
            gid: head.i_gid.get(),
            nlink: tail.i_nlink.get(),
            size: head.i_size.get(),
            mtime: tail.i_mtime.get(),
            mtime_nsec: tail.i_mtime_nsec.get(),
            i_u: head.i_u.get(),
            hi: head.i_nb.get(),
            null_hi: u16::MAX,
            len: (size_of::<ExtendedHead>() + size_of::<ExtendedTail>()) as u64,
        }
    }

    /// The layout, and the blocks that stat tells.
    fn layout(&self, format: &Format, sb: &Superblock) -> Result<(Layout, u64)> {
        let start = u64::from(self.hi) << 32 | u64::from(self.i_u);
        let layout = match format.layout {
            layout::COMPRESSED_FULL | layout::COMPRESSED_COMPACT => {
                if sb.algorithms == 0 {
                    return Err(Error::corrupt(
                        "compressed inode is invalid in a plain filesystem",
                    ));
                }
                let full = format.layout == layout::COMPRESSED_FULL;
                return Ok((Layout::Compressed { full }, start));
            }
            layout::FLAT_PLAIN => {
                let null = self.i_u == u32::MAX && self.hi == self.null_hi;
                Layout::Plain {
                    start: (!null).then_some(start),
                }
            }
            layout::FLAT_INLINE => Layout::Inline { start },
            _ => chunk_layout(self.i_u & 0xffff, sb)?,
        };
        Ok((layout, sb.block.count(self.size)))
    }
}

/// Decodes `EROFS_CHUNK_FORMAT_*`.
fn chunk_layout(format: u32, sb: &Superblock) -> Result<Layout> {
    const BLKBITS_MASK: u32 = 0x1f;
    const INDEXES: u32 = 0x20;
    const BIT48: u32 = 0x40;

    if format & !(BLKBITS_MASK | INDEXES | BIT48) != 0 {
        return Err(Error::unsupported("unsupported chunk format"));
    }
    let bits = sb.block.get() + (format & BLKBITS_MASK);
    Ok(Layout::Chunk {
        // At most 16 + 31.
        bits: u8::try_from(bits).unwrap_or(u8::MAX),
        indexes: format & INDEXES != 0,
        wide: format & BIT48 != 0,
    })
}

/// `new_decode_dev`.
fn decode_dev(dev: u32) -> (u32, u32) {
    (dev >> 8 & 0xfff, dev >> 12 & 0xf_ff00 | dev & 0xff)
}

/// The size of the xattrs behind an inode, header included.
fn xattr_size(icount: u16) -> u32 {
    match icount {
        0 => 0,
        n => 8 + 4 * u32::from(n),
    }
}

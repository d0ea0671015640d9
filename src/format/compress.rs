// SPDX-License-Identifier: GPL-2.0

//! Compressed files: from a position in a file to the stored bytes of an extent.
//!
//! A file is cut into [`Extent`]s, each of which is stored as one unit, mostly as a physical
//! cluster (pcluster) that an algorithm encoded. An 8-byte map header behind the inode's xattrs
//! says which of three kinds of index follows it: the full or the compact one, which have an entry
//! for each logical cluster (lcluster) of the file, or a table of extents. A whole file may also be
//! a fragment of the packed file.

mod compact;
pub(crate) mod config;
mod extents;
mod full;
mod header;
mod lclusters;

use super::inode::Body;
use super::superblock::Superblock;
use super::BlockBits;
use super::Error;
use super::Result;
use super::Source;
use super::EIO;

/// How pclusters are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// One raw LZ4 block.
    Lz4,
    /// MicroLZMA: LZMA1 without a header.
    Lzma,
    /// Raw DEFLATE.
    Deflate,
    /// One Zstandard frame.
    Zstd,
}

impl Algorithm {
    /// By their numbers on disk.
    pub(crate) const ALL: [Self; 4] = [Self::Lz4, Self::Lzma, Self::Deflate, Self::Zstd];

    /// As the kernel and mkfs call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Lzma => "lzma",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    fn from_disk(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// In [`Superblock::algorithms`].
    pub(crate) const fn bit(self) -> u16 {
        match self {
            Self::Lz4 => 1,
            Self::Lzma => 2,
            Self::Deflate => 4,
            Self::Zstd => 8,
        }
    }
}

/// `Z_EROFS_PCLUSTER_MAX_SIZE`: what a pcluster may have of stored bytes.
pub(crate) const PCLUSTER_MAX_SIZE: u32 = 1 << 20;

/// `Z_EROFS_PCLUSTER_MAX_DSIZE`: what an extent with a pcluster may have of a file's bytes.
pub(crate) const PCLUSTER_MAX_DSIZE: u64 = 12 << 20;

/// How one compressed file is indexed: its map header, decoded and checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    size: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The whole file is the bytes of the packed file from `offset` on.
    Fragment {
        offset: u64,
    },
    Lclusters(lclusters::Index),
    Extents(extents::Table),
}

// It is a part of inodes in memory.
const _: () = assert!(size_of::<Index>() <= 64);

/// A run of a file's bytes that is stored as one unit. Extents tile the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it starts in the file.
    pub(crate) pos: u64,
    /// Its bytes that are in the file: at least 1, and no more than [`PCLUSTER_MAX_DSIZE`] unless
    /// it is a hole or a fragment.
    pub(crate) len: u64,
    pub(crate) stored: Stored,
}

/// How an [`Extent`] is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Not at all: it is zeros.
    Hole,
    /// As the bytes of the packed file from `offset` on, which may be beyond that file's end.
    Fragment { offset: u64 },
    /// As the stream in `run`, behind some [`padding`].
    Encoded {
        run: Run,
        algorithm: Algorithm,
        /// The extent may be the start only of what the stream decodes to.
        partial: bool,
    },
    /// As it is: its first `head` bytes from `head_at` in `run` on, all others from the run's start
    /// on. None of them lies beyond the run.
    Plain { run: Run, head: u32, head_at: u32 },
}

/// The stored bytes of a pcluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The address of the first byte, on a block's start or not.
    pub(crate) addr: u64,
    /// In bytes: from 1 to [`PCLUSTER_MAX_SIZE`].
    pub(crate) len: u32,
    pub(crate) space: Space,
}

/// What an address counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// The unified space of all devices.
    Device,
    /// The space that the inode lies in. The run is within one block of it.
    Inode,
}

impl Index {
    /// Reads the map header of a compressed inode with `size` bytes of content.
    ///
    /// `src` is the space that the inode lies in.
    pub(crate) fn read<S: Source>(
        src: &mut S,
        sb: &Superblock,
        body: &Body,
        size: u64,
    ) -> Result<Self> {
        let kind = header::read(src, sb, body, size)?;
        Ok(Self { size, kind })
    }

    /// The whole extent that holds byte `pos`, which is below the size.
    pub(crate) fn extent<S: Source>(
        &self,
        src: &mut S,
        sb: &Superblock,
        pos: u64,
    ) -> Result<Extent> {
        if pos >= self.size {
            return Err(Error::os(EIO, "position beyond the end of the file"));
        }
        let found = match &self.kind {
            Kind::Fragment { offset } => Found {
                start: 0,
                end: self.size,
                place: Place::Fragment { offset: *offset },
            },
            Kind::Lclusters(index) => index.extent(src, sb.block, self.size, pos)?,
            Kind::Extents(table) => table.extent(src, sb.block, self.size, pos)?,
        };
        // Where the ways that lead to an extent contradict each other.
        if pos < found.start || pos >= found.end {
            return Err(Error::corrupt("extent without the byte that led to it"));
        }
        found.check(sb, self.size)
    }
}

/// An extent as an index tells of it.
struct Found {
    start: u64,
    /// Above `start`, and at most the file's size.
    end: u64,
    place: Place,
}

enum Place {
    Hole,
    Fragment { offset: u64 },
    Pcluster { run: Run, coding: Coding },
}

enum Coding {
    /// The extent's bytes from the pcluster's start on.
    Shifted,
    /// The bytes keep their offsets in a block, and what is behind a block's end wraps around.
    Interlaced,
    Encoded {
        algorithm: Algorithm,
        /// `PARTIAL_REF`.
        partial: bool,
    },
}

impl Found {
    /// What all kinds of index have to obey.
    fn check(self, sb: &Superblock, size: u64) -> Result<Extent> {
        let len = self.end.saturating_sub(self.start);
        let stored = match self.place {
            Place::Hole => Stored::Hole,
            Place::Fragment { offset } => Stored::Fragment { offset },
            Place::Pcluster { run, coding } => {
                let ends_file = self.end >= size;
                check_coding(sb, &coding, len, run.len, ends_file)?;
                check_run(sb.block, &run, len)?;
                coding.stored(sb.block, self.start, len, run)
            }
        };
        Ok(Extent {
            pos: self.start,
            len,
            stored,
        })
    }
}

fn check_coding(
    sb: &Superblock,
    coding: &Coding,
    len: u64,
    stored_len: u32,
    ends_file: bool,
) -> Result<()> {
    match *coding {
        Coding::Encoded { algorithm, .. } if !sb.has_algorithm(algorithm) => {
            Err(Error::corrupt("inconsistent algorithmtype"))
        }
        Coding::Encoded { partial, .. } => {
            if !partial && !ends_file && len < stored_len.into() {
                return Err(Error::corrupt("too much compressed data"));
            }
            Ok(())
        }
        Coding::Shifted | Coding::Interlaced => {
            if len > stored_len.into() {
                return Err(Error::corrupt("not enough plain data on disk"));
            }
            Ok(())
        }
    }
}

/// Checks the size and the place of the stored bytes of an extent of `len` bytes.
fn check_run(block: BlockBits, run: &Run, len: u64) -> Result<()> {
    if run.len > PCLUSTER_MAX_SIZE || len > PCLUSTER_MAX_DSIZE {
        return Err(Error::unsupported("too large pcluster"));
    }
    let end = run.addr.checked_add(run.len.into());
    if end.is_none_or(|end| end >> block.get() >> 48 != 0) {
        return Err(Error::corrupt("pcluster beyond 48-bit block addresses"));
    }
    Ok(())
}

impl Coding {
    /// `len` is at most the run's, unless it is encoded.
    fn stored(self, block: BlockBits, pos: u64, len: u64, run: Run) -> Stored {
        let (head, head_at) = match self {
            Self::Encoded { algorithm, partial } => {
                return Stored::Encoded {
                    run,
                    algorithm,
                    partial,
                };
            }
            Self::Shifted => (0, 0),
            Self::Interlaced => {
                let head = block.size().saturating_sub(block.offset(pos));
                match u64::from(run.len).saturating_sub(head) {
                    // Both are the same.
                    0 => (0, 0),
                    head_at => (head.min(len), head_at),
                }
            }
        };
        Stored::Plain {
            run,
            head: u32::try_from(head).unwrap_or(0),
            head_at: u32::try_from(head_at).unwrap_or(0),
        }
    }
}

/// How many zero bytes precede the stream of an encoded pcluster.
///
/// `start` is the pcluster's first bytes, up to the end of the block that its first byte is in or of
/// the pcluster.
pub(crate) fn padding(start: &[u8]) -> Result<usize> {
    start
        .iter()
        .position(|&byte| byte != 0)
        .ok_or(Error::corrupt("compressed data start not found"))
}

/// The size of a file's lclusters, or of the extents in a table, as a shift.
#[derive(Clone, Copy, Debug)]
struct ClusterBits(u8);

impl ClusterBits {
    /// `more` than a block, by bits: at most 15.
    fn new(block: BlockBits, more: u8) -> Self {
        Self(block.0.saturating_add(more & 15))
    }

    fn get(self) -> u32 {
        u32::from(self.0 & 31)
    }

    /// The number of the lcluster that `pos` is in.
    fn number(self, pos: u64) -> u64 {
        pos >> self.get()
    }

    /// Where an lcluster of the file starts.
    fn pos(self, number: u64) -> u64 {
        number << self.get()
    }

    /// In bytes.
    fn size(self) -> u64 {
        1 << self.get()
    }

    /// The offset of `pos` in its lcluster.
    fn offset(self, pos: u64) -> u64 {
        pos & self.size().wrapping_sub(1)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the bytes of an EROFS image mean.
//!
//! Pure functions over values and over a [`Source`] of bytes: no kernel types, no I/O, no
//! allocation, no `unsafe`. The same files are built for the host, where `tests/format` runs them
//! over images.
//!
//! An image is hostile and may change while it is read. Fixed-size structures are copied out once
//! and only the copy is looked at; a search that has to read again bounds each read by the
//! directory block or xattr body it works in. No value from an image reaches an unchecked
//! operation: nothing here can panic, and each loop over an image is bounded.
//!
//! Structures carry the names of `fs/erofs/erofs_fs.h`.

pub(crate) mod compress;
pub(crate) mod dir;
pub(crate) mod inode;
pub(crate) mod map;
pub(crate) mod space;
pub(crate) mod superblock;
pub(crate) mod symlink;
pub(crate) mod xattr;

use zerocopy::FromBytes;
use zerocopy::IntoBytes;

/// A byte space of an image: that of its devices, the metabox. Directories have [`dir::Blocks`].
///
/// Its bytes may change between two reads.
pub(crate) trait Source {
    /// Fills `buf` with the bytes from `pos` on, or fails as a whole.
    ///
    /// A range that leaves the space is for the implementor to refuse, like a read that fails.
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<()>;

    /// The `N` bytes from `pos` on.
    #[inline(always)]
    fn array<const N: usize>(&mut self, pos: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(pos, &mut bytes)?;
        Ok(bytes)
    }
}

/// What a fault amounts to, for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The image contradicts itself.
    Corrupt,
    /// The image needs something that this driver does not do.
    Unsupported,
    /// The superblock is not one, or not one for this machine.
    Invalid,
    /// The superblock's checksum does not match.
    Checksum,
    /// Data lies on a device that the image does not name.
    NoDevice,
    /// Any other error number, positive: mostly a [`Source`]'s own, passed through untouched.
    Errno(i32),
}

/// A fault, with the fact that the log line has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    pub(crate) what: &'static str,
}

pub(crate) type Result<T> = core::result::Result<T, Error>;

const EIO: i32 = 5;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const ENAMETOOLONG: i32 = 36;
const EBADMSG: i32 = 74;
const EOPNOTSUPP: i32 = 95;
const EUCLEAN: i32 = 117;

impl Error {
    pub(crate) const fn new(kind: Kind, what: &'static str) -> Self {
        Self { kind, what }
    }

    pub(crate) const fn corrupt(what: &'static str) -> Self {
        Self::new(Kind::Corrupt, what)
    }

    pub(crate) const fn unsupported(what: &'static str) -> Self {
        Self::new(Kind::Unsupported, what)
    }

    pub(crate) const fn invalid(what: &'static str) -> Self {
        Self::new(Kind::Invalid, what)
    }

    /// `errno` is positive.
    pub(crate) const fn os(errno: i32, what: &'static str) -> Self {
        Self::new(Kind::Errno(errno), what)
    }

    /// The positive error number that the C driver returns for this fault.
    pub(crate) const fn errno(&self) -> i32 {
        match self.kind {
            Kind::Corrupt => EUCLEAN,
            Kind::Unsupported => EOPNOTSUPP,
            Kind::Invalid => EINVAL,
            Kind::Checksum => EBADMSG,
            Kind::NoDevice => ENODEV,
            Kind::Errno(errno) => errno,
        }
    }
}

/// Copies one on-disk structure out.
#[inline]
fn read_value<T: FromBytes + IntoBytes, S: Source>(src: &mut S, pos: u64) -> Result<T> {
    let mut value = T::new_zeroed();
    src.read(pos, value.as_mut_bytes())?;
    Ok(value)
}

/// The position `offset` bytes after `pos`.
#[inline]
fn after(pos: u64, offset: u64) -> Result<u64> {
    pos.checked_add(offset)
        .ok_or(Error::corrupt("position beyond 2^64"))
}

/// The next multiple of `align`, a power of two, at or after `pos`.
#[inline]
fn align_up(pos: u64, align: u64) -> Result<u64> {
    let mask = align.wrapping_sub(1);
    Ok(after(pos, mask)? & !mask)
}

/// The block size of an image, as a shift: 9 to 16, which is for [`superblock`] to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockBits(u8);

impl BlockBits {
    /// For the content of a directory or another space that has no superblock at hand.
    pub(crate) const fn new(bits: u8) -> Option<Self> {
        match bits {
            9..=16 => Some(Self(bits)),
            _ => None,
        }
    }

    pub(crate) fn get(self) -> u32 {
        // The mask tells the compiler what the type knows: no shift below can overflow.
        u32::from(self.0 & 31)
    }

    /// The block size in bytes.
    pub(crate) fn size(self) -> u64 {
        1 << self.get()
    }

    /// The byte address of block `blkaddr`, which has at most 48 bits on disk.
    fn pos(self, blkaddr: u64) -> u64 {
        blkaddr << self.get()
    }

    /// The offset of `pos` in its block.
    pub(crate) fn offset(self, pos: u64) -> u64 {
        pos & self.size().wrapping_sub(1)
    }

    /// `pos`, rounded down to the start of its block.
    pub(crate) fn floor(self, pos: u64) -> u64 {
        pos & !self.size().wrapping_sub(1)
    }

    /// `size` in blocks, rounded up.
    pub(crate) fn count(self, size: u64) -> u64 {
        let whole = size >> self.get();
        whole.saturating_add(u64::from(self.offset(size) != 0))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Extended attributes.
//!
//! An inode's own ones follow it; others are shared by many inodes and listed by id. A name is
//! stored as an index, which stands for its prefix, and the rest. The index of a long prefix stands
//! for a prefix and an infix.

use super::inode::Body;
use super::read_value;
use super::superblock::Superblock;
use super::Error;
use super::Result;
use super::Source;
use super::ERANGE;
use zerocopy::little_endian::U16;
use zerocopy::little_endian::U32;
use zerocopy_derive::FromBytes;
use zerocopy_derive::Immutable;
use zerocopy_derive::IntoBytes;
use zerocopy_derive::KnownLayout;
use zerocopy_derive::Unaligned;

pub(crate) mod index {
    pub(crate) const USER: u8 = 1;
    pub(crate) const POSIX_ACL_ACCESS: u8 = 2;
    pub(crate) const POSIX_ACL_DEFAULT: u8 = 3;
    pub(crate) const TRUSTED: u8 = 4;
    pub(crate) const SECURITY: u8 = 6;
    /// Not an index by itself: the rest is the number of a long prefix.
    pub(super) const LONG_PREFIX: u8 = 0x80;
}

/// What `index` stands for; `None`: names under it are not for user space.
pub(crate) fn prefix_name(index: u8) -> Option<&'static str> {
    Some(match index {
        index::USER => "user.",
        index::POSIX_ACL_ACCESS => "system.posix_acl_access",
        index::POSIX_ACL_DEFAULT => "system.posix_acl_default",
        index::TRUSTED => "trusted.",
        index::SECURITY => "security.",
        _ => return None,
    })
}

/// The longest name behind its prefix.
const NAME_LEN: usize = 255;

/// `xxh32` of the kernel: bytes, seed.
pub(crate) type Xxh32 = fn(&[u8], u32) -> u32;

/// The seed of the name filter's hash for names under `index`.
pub(crate) fn filter_seed(index: u8) -> u32 {
    const SEED: u32 = 0x25bb_e08f;
    SEED.wrapping_add(index.into())
}

/// The bit of an inode's name filter that is set only when it has no xattr of this name.
pub(crate) fn filter_bit(xxh32: Xxh32, index: u8, name: &[u8]) -> u32 {
    1 << (xxh32(name, filter_seed(index)) & 31)
}

/// The bits of a name filter that are both set only when there is neither of the POSIX ACLs.
const NO_ACLS: u32 = 1 << 21 | 1 << 30;

/// Whether an inode may have POSIX ACLs, as far as the start of its xattrs tells.
///
/// A failed read tells nothing, and is left to who asks for the ACL.
pub(crate) fn may_have_acls<S: Source>(src: &mut S, sb: &Superblock, body: &Body) -> bool {
    if body.xattr_size < HEADER {
        return false;
    }
    if !sb.xattr_filter {
        return true;
    }
    let filter: Result<U32> = read_value(src, body.xattr_pos);
    !filter.is_ok_and(|filter| filter.get() & NO_ACLS == NO_ACLS)
}

/// `struct erofs_xattr_ibody_header`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Header {
    h_name_filter: U32,
    h_shared_count: u8,
    h_reserved2: [u8; 7],
}

/// `struct erofs_xattr_entry`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
struct Raw {
    e_name_len: u8,
    e_name_index: u8,
    e_value_size: U16,
}

const HEADER: u32 = 12;
const ID: u32 = 4;

const _: () = assert!(size_of::<Header>() == HEADER as usize);
const _: () = assert!(size_of::<Raw>() == 4);

/// An entry, and where its name starts.
#[derive(Clone, Copy)]
struct Entry {
    raw: Raw,
    pos: u64,
}

impl Entry {
    fn read<S: Source>(src: &mut S, pos: u64) -> Result<Self> {
        Ok(Self {
            raw: read_value(src, pos)?,
            pos: super::after(pos, size_of::<Raw>() as u64)?,
        })
    }

    fn size(&self) -> u32 {
        let used = 4 + u32::from(self.raw.e_name_len) + u32::from(self.raw.e_value_size.get());
        (used + 3) & !3
    }
}

/// A long name prefix.
pub(crate) struct Prefix {
    /// The index that it goes on from.
    base: u8,
    len: u8,
    infix: [u8; NAME_LEN],
}

impl Prefix {
    fn infix(&self) -> &[u8] {
        self.infix
            .get(..usize::from(self.len))
            .unwrap_or(&self.infix)
    }
}

/// The space that the table of long prefixes lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrefixSpace {
    Primary,
    Metabox,
    Packed,
}

/// Where [`read_prefixes`] has to read.
pub(crate) fn prefix_space(sb: &Superblock) -> PrefixSpace {
    if sb.plain_xattr_prefixes() {
        PrefixSpace::Primary
    } else if sb.has_metabox() {
        PrefixSpace::Metabox
    } else if sb.packed_nid.is_some() {
        PrefixSpace::Packed
    } else {
        PrefixSpace::Primary
    }
}

/// Reads the long prefixes, in the order of their indexes.
pub(crate) fn read_prefixes<S: Source>(
    src: &mut S,
    sb: &Superblock,
    mut sink: impl FnMut(Prefix) -> Result<()>,
) -> Result<()> {
    let mut pos = sb.xattr_prefix_pos;
    for _ in 0..sb.xattr_prefix_count {
        pos = super::align_up(pos, 4)?;
        // The base index and the infix.
        let len: U16 = read_value(src, pos)?;
        let len = usize::from(len.get())
            .checked_sub(1)
            .ok_or(Error::corrupt("invalid xattr prefix"))?;
        pos = super::after(pos, size_of::<U16>() as u64)?;
        let base = read_value(src, pos)?;
        pos = super::after(pos, 1)?;
        let mut infix = [0; NAME_LEN];
        let part = infix
            .get_mut(..len)
            .ok_or(Error::corrupt("invalid xattr prefix"))?;
        src.read(pos, part)?;
        pos = super::after(pos, len as u64)?;
        sink(Prefix {
            base,
            len: u8::try_from(len).unwrap_or(u8::MAX),
            infix,
        })?;
    }
    Ok(())
}

/// The answer to [`Xattrs::get`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such xattr.
    Missing,
    /// The value's size; it is in the buffer, if there is one.
    Value(usize),
    /// The buffer is too small for a value of this size.
    TooSmall(usize),
}

/// The name of an xattr, in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    /// The index of its prefix, which has a [`prefix_name`].
    pub(crate) index: u8,
    pub(crate) infix: &'a [u8],
    pub(crate) suffix: &'a [u8],
}

/// The xattrs of one inode.
pub(crate) struct Xattrs<'a, I, S> {
    /// The space that the inode lies in.
    pub(crate) inline: &'a mut I,
    /// The space of shared xattrs: [`Superblock::shared_xattrs_in_metabox`].
    pub(crate) shared: &'a mut S,
    pub(crate) sb: &'a Superblock,
    pub(crate) body: &'a Body,
    pub(crate) prefixes: &'a [Prefix],
}

/// What the header of an inode's xattrs says, checked.
struct Area {
    filter: u32,
    shared_count: u8,
    /// Bytes of inline entries.
    inline_size: u32,
}

impl<I: Source, S: Source> Xattrs<'_, I, S> {
    /// Gets the xattr `name`, which is without the prefix of `index`.
    ///
    /// Without a buffer only the value's size is asked for.
    pub(crate) fn get(
        &mut self,
        index: u8,
        name: &[u8],
        mut value: Option<&mut [u8]>,
        xxh32: Xxh32,
    ) -> Result<Found> {
        let Some(area) = self.open()? else {
            return Ok(Found::Missing);
        };
        if self.sb.xattr_filter && area.filter & filter_bit(xxh32, index, name) != 0 {
            return Ok(Found::Missing);
        }
        if name.len() > NAME_LEN {
            return Err(Error::os(ERANGE, "xattr name is too long"));
        }

        let prefixes = self.prefixes;
        let mut found = Found::Missing;
        self.each_inline(&area, |src, entry| {
            found = try_get(src, prefixes, &entry, index, name, value.as_deref_mut())?;
            Ok(found == Found::Missing)
        })?;
        if found == Found::Missing {
            self.each_shared(&area, |src, entry| {
                found = try_get(src, prefixes, &entry, index, name, value.as_deref_mut())?;
                Ok(found == Found::Missing)
            })?;
        }
        Ok(found)
    }

    /// Passes every name that user space may see to `sink`: the inode's own ones, then shared ones.
    pub(crate) fn list(&mut self, mut sink: impl FnMut(Name<'_>) -> Result<()>) -> Result<()> {
        let Some(area) = self.open()? else {
            return Ok(());
        };
        let prefixes = self.prefixes;
        self.each_inline(&area, |src, entry| {
            try_list(src, prefixes, &entry, &mut sink)?;
            Ok(true)
        })?;
        self.each_shared(&area, |src, entry| {
            try_list(src, prefixes, &entry, &mut sink)?;
            Ok(true)
        })
    }

    /// Gets the fingerprint for page cache sharing.
    ///
    /// What cannot be one is [`Found::Missing`]: no such xattr, an empty value, one beyond a block.
    pub(crate) fn fingerprint(&mut self, value: Option<&mut [u8]>, xxh32: Xxh32) -> Result<Found> {
        let prefixes = self.prefixes;
        let prefix = self.sb.ishare_prefix;
        let Some(prefix) = prefix.and_then(|id| prefixes.get(usize::from(id))) else {
            return Ok(Found::Missing);
        };
        // As for the C driver, a NUL ends the name.
        let name = prefix.infix().split(|&byte| byte == 0).next();
        let found = self.get(prefix.base, name.unwrap_or_default(), value, xxh32)?;
        Ok(match found {
            Found::Value(len) | Found::TooSmall(len)
                if len == 0 || len as u64 > self.sb.block.size() =>
            {
                Found::Missing
            }
            found => found,
        })
    }

    /// Reads the header; `None`: no xattrs.
    fn open(&mut self) -> Result<Option<Area>> {
        let rest = match self.body.xattr_size.checked_sub(HEADER) {
            None => return Ok(None),
            Some(0) => return Err(Error::unsupported("xattr_isize 12 is not supported yet")),
            Some(rest) => rest,
        };
        let header: Header = read_value(self.inline, self.body.xattr_pos)?;
        let shared_count = header.h_shared_count;
        let inline_size = rest
            .checked_sub(ID * u32::from(shared_count))
            .ok_or(Error::corrupt("invalid h_shared_count"))?;
        Ok(Some(Area {
            filter: header.h_name_filter.get(),
            shared_count,
            inline_size,
        }))
    }

    /// Passes the inode's own entries to `visit`, as long as it says so.
    fn each_inline(
        &mut self,
        area: &Area,
        mut visit: impl FnMut(&mut I, Entry) -> Result<bool>,
    ) -> Result<()> {
        let start = HEADER + ID * u32::from(area.shared_count);
        let mut pos = super::after(self.body.xattr_pos, start.into())?;
        let mut left = area.inline_size;
        while left > 0 {
            let entry = Entry::read(self.inline, pos)?;
            let size = entry.size();
            left = left
                .checked_sub(size)
                .ok_or(Error::corrupt("xattr entry beyond xattr_isize"))?;
            pos = super::after(pos, size.into())?;
            if !visit(self.inline, entry)? {
                break;
            }
        }
        Ok(())
    }

    /// Passes the entries whose ids the inode lists to `visit`, as long as it says so.
    fn each_shared(
        &mut self,
        area: &Area,
        mut visit: impl FnMut(&mut S, Entry) -> Result<bool>,
    ) -> Result<()> {
        if self.sb.shared_xattrs_in_metabox() && !self.sb.has_metabox() {
            return Err(Error::corrupt(
                "shared xattrs in a metabox that is not there",
            ));
        }
        let ids = super::after(self.body.xattr_pos, HEADER.into())?;
        for i in 0..area.shared_count {
            let id: U32 = read_value(self.inline, super::after(ids, u64::from(i) * 4)?)?;
            let pos = super::after(self.sb.xattr_pos, u64::from(id.get()) * 4)?;
            let entry = Entry::read(self.shared, pos)?;
            if !visit(self.shared, entry)? {
                break;
            }
        }
        Ok(())
    }
}

/// The prefix and infix that an entry's index stands for; `None`: a long prefix that is not there.
fn split_index(prefixes: &[Prefix], index: u8) -> Option<(u8, &[u8])> {
    if index & index::LONG_PREFIX == 0 {
        return Some((index, &[]));
    }
    let prefix = prefixes.get(usize::from(index & !index::LONG_PREFIX))?;
    Some((prefix.base, prefix.infix()))
}

/// Gets the value of `entry` if it is the one that was asked for.
fn try_get<T: Source>(
    src: &mut T,
    prefixes: &[Prefix],
    entry: &Entry,
    index: u8,
    name: &[u8],
    value: Option<&mut [u8]>,
) -> Result<Found> {
    let Some((base, infix)) = split_index(prefixes, entry.raw.e_name_index) else {
        return Ok(Found::Missing);
    };
    let suffix = match name.strip_prefix(infix) {
        Some(suffix) if base == index => suffix,
        _ => return Ok(Found::Missing),
    };
    if suffix.len() != usize::from(entry.raw.e_name_len) {
        return Ok(Found::Missing);
    }
    let mut pos = entry.pos;
    let mut buf = [0; 32];
    for part in suffix.chunks(buf.len()) {
        let Some(stored) = buf.get_mut(..part.len()) else {
            return Ok(Found::Missing);
        };
        src.read(pos, stored)?;
        if stored != part {
            return Ok(Found::Missing);
        }
        pos = super::after(pos, part.len() as u64)?;
    }

    let size = usize::from(entry.raw.e_value_size.get());
    if let Some(value) = value {
        let Some(value) = value.get_mut(..size) else {
            return Ok(Found::TooSmall(size));
        };
        src.read(pos, value)?;
    }
    Ok(Found::Value(size))
}

/// Passes the name of `entry` to `sink` if user space may see it.
fn try_list<T: Source>(
    src: &mut T,
    prefixes: &[Prefix],
    entry: &Entry,
    sink: &mut impl FnMut(Name<'_>) -> Result<()>,
) -> Result<()> {
    let Some((index, infix)) = split_index(prefixes, entry.raw.e_name_index) else {
        return Ok(());
    };
    if prefix_name(index).is_none() {
        return Ok(());
    }
    let mut buf = [0; NAME_LEN];
    let Some(suffix) = buf.get_mut(..usize::from(entry.raw.e_name_len)) else {
        return Ok(());
    };
    src.read(entry.pos, suffix)?;
    sink(Name {
        index,
        infix,
        suffix,
    })
}

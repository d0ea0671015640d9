// SPDX-License-Identifier: GPL-2.0

//! The content of a directory, read as metadata.
//!
//! It is read where it lies, through the page cache of the device or of the metabox: a directory needs no pages of its
//! own, unless its content has to be decoded.

use super::file::File;
use crate::format::{
    self,
    dir,
    map::{
        self,
        Place, //
    }, //
};
use crate::vfs::page_cache::{
    Pages,
    View, //
};

/// Where bytes are cached: in which pages, and at which position.
type Cached<'a> = (Pages<'a>, u64);

/// The bytes of a directory.
pub(crate) struct Content<'a> {
    file: File<'a>,
    /// Where all of it lies, if it is one run.
    run: Option<Cached<'a>>,
}

impl<'a> Content<'a> {
    /// The content of `file`; `own` are the pages of its inode.
    #[inline]
    pub(crate) fn new(file: File<'a>, own: Pages<'a>) -> Self {
        let volume = file.volume;
        let run = match (file.is_compressed(), file.nid.in_metabox()) {
            (true, _) => Some((own, 0)),
            (false, true) => None,
            // Mostly it is one; else each block is looked for.
            (false, false) => map::whole(&volume.sb, file.body, file.size)
                .and_then(|addr| volume.locate(0, addr).ok())
                .filter(|there| there.rest >= file.size)
                .map(|there| (there.store.pages(), there.addr)),
        };
        Self { file, run }
    }

    /// Where the bytes from `pos` on are cached, and how many there are.
    pub(crate) fn cached(&self, pos: u64) -> Option<(Cached<'a>, u64)> {
        match self.run {
            Some((pages, addr)) => {
                let left = self.file.size.checked_sub(pos)?;
                Some(((pages, addr.wrapping_add(pos)), left))
            }
            None => self.locate(pos).ok()?,
        }
    }

    /// Where byte `pos` is cached, and how many bytes follow there, it included; `None` for a hole.
    fn locate(&self, pos: u64) -> format::Result<Option<(Cached<'a>, u64)>> {
        let File {
            volume,
            nid,
            body,
            size,
        } = self.file;
        let rest = size.checked_sub(pos).filter(|&rest| rest > 0).ok_or(ODD)?;
        let extent = map::map(&mut self.file.meta(), &volume.sb, body, size, pos, rest)?;
        let skip = pos.checked_sub(extent.pos).ok_or(ODD)?;
        let len = extent.len.saturating_sub(skip).min(rest);
        let (device, addr) = match extent.place {
            Place::Hole => return Ok(None),
            Place::Inline { addr } if nid.in_metabox() => {
                let addr = addr.checked_add(skip).ok_or(ODD)?;
                let metabox = volume.metabox_pages().ok_or(ODD)?;
                return Ok(Some(((metabox, addr), len)));
            }
            Place::Device { device, addr } => (device, addr),
            Place::Inline { addr } => (0, addr),
        };
        let there = volume.locate(device, addr.checked_add(skip).ok_or(ODD)?)?;
        Ok(Some((
            (there.store.pages(), there.addr),
            len.min(there.rest),
        )))
    }
}

/// A block that is nowhere, or not in one piece: no directory has such.
const ODD: format::Error = format::Error::corrupt("directory block without a place");

impl dir::Blocks for Content<'_> {
    type View = View;

    #[inline]
    fn block(&mut self, pos: u64, len: u32) -> format::Result<View> {
        let (pages, addr) = match self.run {
            // All of it, so also this block, ends below 2^64.
            Some((pages, run)) => (pages, run.wrapping_add(pos)),
            None => match self.locate(pos)? {
                Some((cached, there)) if there >= len.into() => cached,
                _ => return Err(ODD),
            },
        };
        let view = pages.view(addr, len);
        view.map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "cannot read directory"))
    }
}

impl dir::View for View {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.len()
    }

    #[inline(always)]
    fn array<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        self.array(at)
    }
}

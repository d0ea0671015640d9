// SPDX-License-Identifier: GPL-2.0

//! The content of a directory, read as metadata.
//!
//! It is read through the device's page cache: a directory needs no pages of its own.

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
    Mapping,
    View, //
};

/// The bytes of a directory.
pub(crate) struct Content<'a> {
    file: File<'a>,
    /// Where on the device all of it lies, if it is one run.
    run: Option<u64>,
}

impl<'a> Content<'a> {
    /// The content of `file`.
    #[inline]
    pub(crate) fn new(file: File<'a>) -> Self {
        let volume = file.volume;
        // Mostly it is one; else each block is looked for.
        let run = map::whole(&volume.sb, file.body, file.size)
            .and_then(|addr| volume.locate(addr).ok())
            .map(|(addr, _)| addr);
        Self { file, run }
    }

    /// Where the bytes from `pos` on are cached: the mapping, the byte's position there, and how many there are.
    pub(crate) fn cached(&self, pos: u64) -> Option<(&'a Mapping, u64, u64)> {
        let (addr, len) = self.locate(pos).ok()??;
        Some((self.file.volume.device_mapping(), addr, len))
    }

    /// Where byte `pos` lies on the device, and how many bytes follow there, it included; `None` for a hole.
    fn locate(&self, pos: u64) -> format::Result<Option<(u64, u64)>> {
        let File {
            volume, body, size, ..
        } = self.file;
        let rest = size.checked_sub(pos).filter(|&rest| rest > 0).ok_or(ODD)?;
        let extent = map::map(&mut volume.meta(), &volume.sb, body, size, pos, rest)?;
        let skip = pos.checked_sub(extent.pos).ok_or(ODD)?;
        let len = extent.len.saturating_sub(skip).min(rest);
        match extent.place {
            Place::Hole => Ok(None),
            Place::Device { addr, .. } | Place::Inline { addr } => {
                let (addr, _) = volume.locate(addr.checked_add(skip).ok_or(ODD)?)?;
                Ok(Some((addr, len)))
            }
        }
    }
}

/// A block that is nowhere, or not in one piece: no directory has such.
const ODD: format::Error = format::Error::corrupt("directory block without a place");

impl dir::Blocks for Content<'_> {
    type View = View;

    #[inline]
    fn block(&mut self, pos: u64, len: u32) -> format::Result<View> {
        let addr = match self.run {
            // All of it, so also this block, ends below 2^64.
            Some(run) => run.wrapping_add(pos),
            None => match self.locate(pos)? {
                Some((addr, there)) if there >= len.into() => addr,
                _ => return Err(ODD),
            },
        };
        let view = self.file.volume.device_mapping().view(addr, len);
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

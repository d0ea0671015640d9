// SPDX-License-Identifier: GPL-2.0

//! The content of a file, read as metadata.
//!
//! It is read through the device's page cache: a directory needs no pages of its own.

use super::{
    file::File,
    volume, //
};
use crate::format::{
    self,
    map::{
        self,
        Place, //
    },
    Source, //
};
use crate::vfs::page_cache::{
    Mapping,
    Window, //
};
use kernel::prelude::*;

/// The bytes of a file.
pub(crate) struct Content<'a> {
    file: File<'a>,
    /// The run of bytes that the last read was in.
    run: Window<'a>,
}

impl<'a> Content<'a> {
    /// The content of `file`.
    #[inline]
    pub(crate) fn new(file: File<'a>) -> Self {
        let volume = file.volume;
        // Mostly it lies in one run; else the first read finds out where.
        let whole = map::whole(&volume.sb, file.body, file.size);
        let run = match whole.and_then(|addr| volume.locate(addr).ok()) {
            Some((addr, _)) => volume.window(addr, 0, file.size),
            None => volume.window(0, 0, 0),
        };
        Self { file, run }
    }

    /// Where the bytes from `pos` on are cached: the mapping, the byte's position there, and how many there are.
    pub(crate) fn cached(&self, pos: u64) -> Option<(&'a Mapping, u64, u64)> {
        let (addr, len) = self.locate(pos).ok()??;
        Some((self.file.volume.device_mapping(), addr, len))
    }

    /// Where byte `pos` lies on the device, and how many bytes follow there, it included; `None` for a hole.
    #[inline]
    fn locate(&self, pos: u64) -> Result<Option<(u64, u64)>> {
        let File {
            volume, body, size, ..
        } = self.file;
        let rest = size.checked_sub(pos).filter(|&rest| rest > 0).ok_or(EIO)?;
        let extent = map::map(&mut volume.meta(), &volume.sb, body, size, pos, rest)
            .map_err(|fault| volume::errno(&fault))?;
        let skip = pos.checked_sub(extent.pos).ok_or(EIO)?;
        let len = extent.len.saturating_sub(skip).min(rest);
        match extent.place {
            Place::Hole => Ok(None),
            Place::Device { addr, .. } | Place::Inline { addr } => {
                let (addr, _) = volume
                    .locate(addr.checked_add(skip).ok_or(EIO)?)
                    .map_err(|_| EIO)?;
                Ok(Some((addr, len)))
            }
        }
    }

    /// Reads a word that does not lie in the page at hand.
    #[inline(never)]
    fn array_elsewhere<const N: usize>(&mut self, pos: u64) -> format::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(pos, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads what does not lie in the page at hand.
    #[inline(never)]
    fn read_on(&mut self, mut pos: u64, mut buf: &mut [u8]) -> Result {
        while !buf.is_empty() {
            let Some((addr, len)) = self.locate(pos)? else {
                // A directory in a hole is nothing but corrupt; zeros will be found to be so.
                buf.fill(0);
                return Ok(());
            };
            let here = buf.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            if here == 0 {
                return Err(EIO);
            }
            let (now, later) = buf.split_at_mut(here);
            self.run = self.file.volume.window(addr, pos, len);
            self.run.read(pos, now)?;
            pos = pos.checked_add(here as u64).ok_or(EIO)?;
            buf = later;
        }
        Ok(())
    }
}

impl Source for Content<'_> {
    #[inline(always)]
    fn array<const N: usize>(&mut self, pos: u64) -> format::Result<[u8; N]> {
        match self.run.array(pos) {
            Some(bytes) => Ok(bytes),
            None => self.array_elsewhere(pos),
        }
    }

    #[inline(always)]
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> format::Result<()> {
        if self.run.peek(pos, buf) {
            return Ok(());
        }
        let done = match self.run.holds(pos, buf.len()) {
            true => self.run.read(pos, buf),
            false => self.read_on(pos, buf),
        };
        done.map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "cannot read directory"))
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The bytes of an image, or of its metabox, read through the page cache.

use super::device::Devices;
use crate::format::{
    self,
    Source, //
};
use crate::vfs::page_cache::{
    HeldPage,
    Pages,
    Window, //
};
use kernel::prelude::*;

/// The bytes of an image.
pub(crate) struct Meta<'a> {
    /// Those that are at hand.
    window: Window<'a>,
    /// The address of the first of them.
    start: u64,
    /// What has the others, if there are such.
    devices: Option<&'a Devices>,
}

impl<'a> Meta<'a> {
    /// The `len` bytes of `pages` from `base` on.
    #[inline]
    pub(crate) fn new(pages: Pages<'a>, base: u64, len: u64) -> Self {
        Self {
            window: Window::new(pages, base, len),
            start: 0,
            devices: None,
        }
    }

    /// The unified space of `devices`, of which those bytes are the first.
    pub(super) fn of_devices(devices: &'a Devices, pages: Pages<'a>, base: u64, len: u64) -> Self {
        Self {
            devices: Some(devices),
            ..Self::new(pages, base, len)
        }
    }

    /// Takes the bytes at hand that are on one store with byte `pos`; returns where that is among them, and how many
    /// follow there, it included.
    fn turn(&mut self, devices: &'a Devices, pos: u64) -> format::Result<(u64, u64)> {
        let run = devices.run(pos)?;
        self.window = Window::new(run.pages, run.base, run.len);
        self.start = run.start;
        let at = pos.wrapping_sub(run.start);
        Ok((at, run.len.saturating_sub(at)))
    }

    /// Reads what is not, or not as a whole, among the bytes at hand.
    #[inline(never)]
    fn read_across(
        &mut self,
        devices: &'a Devices,
        mut pos: u64,
        mut buf: &mut [u8],
    ) -> format::Result<()> {
        while !buf.is_empty() {
            let (at, left) = self.turn(devices, pos)?;
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let (now, later) = buf.split_at_mut(here);
            self.window.read(at, now).map_err(fault)?;
            pos = pos.saturating_add(here as u64);
            buf = later;
        }
        Ok(())
    }

    /// The page that holds byte `pos`, and the byte's offset in it.
    pub(crate) fn into_page(mut self, pos: u64) -> format::Result<(HeldPage, usize)> {
        let mut at = pos.wrapping_sub(self.start);
        if let (Some(devices), false) = (self.devices, self.window.has(at)) {
            at = self.turn(devices, pos)?.0;
        }
        self.window.into_page(at).map_err(fault)
    }
}

impl Source for Meta<'_> {
    #[inline(always)]
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> format::Result<()> {
        // What is before the first byte is beyond all of them, too.
        match (
            self.window.read(pos.wrapping_sub(self.start), buf),
            self.devices,
        ) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(devices)) => self.read_across(devices, pos, buf),
            (Err(e), None) => Err(fault(e)),
        }
    }
}

/// What a read that failed means to those who asked.
fn fault(e: Error) -> format::Error {
    format::Error::os(e.to_errno().wrapping_neg(), "cannot read metadata")
}

// SPDX-License-Identifier: GPL-2.0

//! The extents of a file.

use super::volume::{
    errno,
    Volume,
    BEYOND, //
};
use crate::format::{
    self,
    inode::{
        Body,
        Layout,
        Nid, //
    },
    map, //
};
use crate::vfs::{
    inflight::Running,
    iomap::{
        Extent,
        Extents,
        Place,
        Purpose, //
    }, //
};
use kernel::prelude::*;

/// What reading needs of an inode.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    /// Where the inode lies.
    pub(crate) volume: &'a Volume,
    /// For the log.
    pub(crate) nid: Nid,
    /// Where its bytes are.
    pub(crate) body: &'a Body,
    /// Bytes in the file.
    pub(crate) size: u64,
}

impl File<'_> {
    /// Refuses files that this driver cannot read yet.
    pub(crate) fn check_readable(&self) -> Result {
        match self.body.layout {
            Layout::Compressed { .. } => Err(EOPNOTSUPP),
            _ => Ok(()),
        }
    }

    /// The extent that holds byte `pos`, as far as the device goes.
    fn find(&self, pos: u64, len: u64, purpose: Purpose) -> format::Result<Extent> {
        let volume = self.volume;
        let sb = &volume.sb;
        let found = match map::flat(sb, self.body, self.size, pos, len)? {
            Some(found) => found,
            None => map::map(&mut volume.meta(), sb, self.body, self.size, pos, len)?,
        };
        let mut len = found.len;
        let place = match found.place {
            map::Place::Hole => Place::Hole,
            // Images with a device table are refused at mount, so the id is always 0.
            map::Place::Device { addr, .. } => {
                let (addr, rest) = volume.locate(addr)?;
                // What is there of a file that is cut short can be read.
                let rest = rest & !sb.block.size().wrapping_sub(1);
                if len > rest {
                    let skip = pos.saturating_sub(found.pos);
                    if skip >= rest {
                        return Err(BEYOND);
                    }
                    len = rest;
                }
                Place::Device(volume.device(), addr)
            }
            map::Place::Inline { addr } => {
                let (place, _) = volume.locate(addr)?;
                let page = match purpose {
                    Purpose::Report => None,
                    Purpose::Read | Purpose::ReadAhead => Some(volume.meta().into_page(addr)?),
                };
                Place::Inline(volume.device(), place, page)
            }
        };
        Ok(Extent {
            pos: found.pos,
            len,
            place,
        })
    }
}

impl Extents for File<'_> {
    fn extent(&self, pos: u64, len: u64, purpose: Purpose) -> Result<Extent> {
        self.check_readable()?;
        self.find(pos, len, purpose).map_err(|fault| match purpose {
            Purpose::ReadAhead => errno(&fault),
            Purpose::Read | Purpose::Report => self.volume.report(self.nid, fault),
        })
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn begin_io(&self) -> Running {
        self.volume.begin()
    }
}

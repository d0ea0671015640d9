// SPDX-License-Identifier: GPL-2.0

//! The extents of a file.

use super::volume::Volume;
use crate::format::{
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
        Place, //
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
}

impl Extents for File<'_> {
    fn extent(&self, pos: u64, len: u64, bytes: bool) -> Result<Extent> {
        self.check_readable()?;
        let volume = self.volume;
        let mut meta = volume.meta();
        let found = map::map(&mut meta, &volume.sb, self.body, self.size, pos, len)
            .map_err(|fault| volume.report(self.nid, fault))?;
        let place = match found.place {
            map::Place::Hole => Place::Hole,
            // Images with a device table are refused at mount, so the id is always 0.
            map::Place::Device { addr, .. } => {
                Place::Device(volume.device(), volume.device_pos(addr)?)
            }
            map::Place::Inline { addr } => {
                let page = match bytes {
                    true => Some(meta.into_page(addr)?),
                    false => None,
                };
                Place::Inline(volume.device(), volume.device_pos(addr)?, page)
            }
        };
        Ok(Extent {
            pos: found.pos,
            len: found.len,
            place,
        })
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn begin_io(&self) -> Running {
        self.volume.begin()
    }
}

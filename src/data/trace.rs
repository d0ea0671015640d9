// SPDX-License-Identifier: GPL-2.0

//! What the tracepoints tell of mapping.

use super::file::File;
use crate::format::{
    self,
    compress::{
        self,
        Space,
        Stored, //
    },
    map, //
};
use crate::vfs::trace::{
    self,
    Id,
    Mapped, //
};

/// What mapping gives.
pub(super) trait Tell {
    fn tell(&self) -> Mapped;
}

impl Tell for map::Extent {
    fn tell(&self) -> Mapped {
        let (addr, stored, flags) = match self.place {
            map::Place::Hole => (0, 0, 0),
            map::Place::Device { addr, .. } => (addr, self.len, Mapped::MAPPED),
            map::Place::Inline { addr } => (addr, self.len, Mapped::MAPPED | Mapped::META),
        };
        Mapped {
            pos: self.pos,
            len: self.len,
            addr,
            stored,
            flags,
            error: 0,
        }
    }
}

impl Tell for compress::Extent {
    fn tell(&self) -> Mapped {
        let (addr, stored, flags) = match self.stored {
            Stored::Hole => (0, 0, 0),
            Stored::Fragment { offset } => (offset, self.len, Mapped::MAPPED | Mapped::FRAGMENT),
            Stored::Encoded { run, partial, .. } => {
                let partial = match partial {
                    true => Mapped::PARTIAL_REF,
                    false => 0,
                };
                (run.addr, run.len.into(), in_space(run.space) | partial)
            }
            Stored::Plain { run, .. } => (run.addr, run.len.into(), in_space(run.space)),
        };
        Mapped {
            pos: self.pos,
            len: self.len,
            addr,
            stored,
            flags,
            error: 0,
        }
    }
}

fn in_space(space: Space) -> u32 {
    match space {
        Space::Device => Mapped::MAPPED,
        Space::Inode => Mapped::MAPPED | Mapped::META,
    }
}

impl File<'_> {
    /// The inode, as traces name it.
    pub(super) fn id(&self) -> Id {
        Id {
            dev: self.volume.dev,
            nid: self.nid.0,
        }
    }

    /// Tells of `map`, which maps `len` bytes from `pos` on.
    #[inline(always)]
    pub(super) fn traced<E: Tell>(
        &self,
        pos: u64,
        len: u64,
        report: bool,
        map: impl FnOnce() -> format::Result<E>,
    ) -> format::Result<E> {
        trace::map_blocks_enter(|| self.id(), pos, len, report);
        let found = map();
        trace::map_blocks_exit(
            || self.id(),
            report,
            || match &found {
                Ok(extent) => extent.tell(),
                Err(fault) => Mapped {
                    pos,
                    len,
                    error: fault.errno().wrapping_neg(),
                    ..Mapped::default()
                },
            },
        );
        found
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Reading files whose bytes lie in a backing file as they are.
//!
//! On block devices iomap does this. Here a read goes straight from the backing file into the folios: one for each run of
//! bytes that lie together, across all folios that are read ahead.

use super::{
    device::BEYOND,
    file::File, //
};
use crate::format::{
    self,
    map::Place,
    Source, //
};
use crate::vfs::{
    backing::BackingFile,
    file_read,
    folios::FolioRun,
    iomap::Purpose,
    store::Store, //
};
use kernel::prelude::*;

/// What a run of a file's bytes is filled from.
enum From {
    Zeros,
    /// Byte `addr` of a backing file.
    File(BackingFile, u64),
    /// Byte `addr` of the metadata.
    Metadata(u64),
}

/// Fills the folios of `run`: now, or some time where nobody waits.
pub(super) fn read(file: &File<'_>, run: FolioRun, purpose: Purpose) -> Result {
    let mut left = Some(run);
    while let Some(mut run) = left.take() {
        let (end, from) = match find(file, run.pos(), run.end(), purpose) {
            Ok(found) => found,
            // The run's folios are dropped: their readers ask for them again, one by one.
            Err(fault) => return Err(file.fault(fault, purpose)),
        };
        left = run.split(end)?;
        match from {
            From::Zeros => run.fill(|_, bytes| {
                bytes.fill(0);
                Ok(())
            })?,
            From::Metadata(addr) => {
                let start = run.pos();
                let mut meta = file.meta();
                run.fill(|pos, bytes| {
                    let data = file.size.saturating_sub(pos).min(bytes.len() as u64) as usize;
                    let (data, zeros) = bytes.split_at_mut_checked(data).ok_or(EIO)?;
                    let addr = addr.saturating_add(pos.saturating_sub(start));
                    meta.read(addr, data)
                        .map_err(|fault| file.volume.report(file.nid, fault))?;
                    zeros.fill(0);
                    Ok(())
                })?
            }
            From::File(store, addr) => {
                file_read::read_folios(store, addr, run, file.size, file.volume.begin())?
            }
        }
    }
    Ok(())
}

/// Up to where the bytes from `pos` on, before `end`, lie together, and where.
fn find(file: &File<'_>, pos: u64, end: u64, purpose: Purpose) -> format::Result<(u64, From)> {
    let extent = file.map(pos, end.saturating_sub(pos), purpose)?;
    let skip = pos.saturating_sub(extent.pos);
    let behind = extent.pos.saturating_add(extent.len);
    // The file's last block is filled as a whole.
    let end = match behind < file.size {
        true => behind.min(end),
        false => end,
    };
    if end <= pos {
        return Err(format::Error::corrupt("extent without bytes"));
    }
    Ok(match extent.place {
        Place::Hole => (end, From::Zeros),
        Place::Inline { addr } => (end, From::Metadata(addr.saturating_add(skip))),
        Place::Device { device, addr } => {
            let addr = addr.checked_add(skip).ok_or(BEYOND)?;
            let there = file.volume.locate(device, addr)?;
            let Store::File(store) = *there.store else {
                return Err(BEYOND);
            };
            let wanted = end.min(file.size).saturating_sub(pos);
            // What is there of a file that is cut short can be read.
            let end = match wanted <= there.rest {
                true => end,
                false => pos.saturating_add(file.volume.sb.block.floor(there.rest)),
            };
            if end == pos {
                return Err(BEYOND);
            }
            let store = store.direct(file.volume.policy.direct());
            (end, From::File(store, there.addr))
        }
    })
}

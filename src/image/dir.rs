// SPDX-License-Identifier: GPL-2.0

//! Directories.

use super::{
    inode::{
        self,
        is_compressed, //
    },
    Erofs, //
};
use crate::data::meta::Meta;
use crate::format::{
    dir::{
        self,
        Block,
        NAME_LEN, //
    },
    inode::Nid, //
};
use crate::vfs::{
    dir::{
        DirEmitter,
        DirOps, //
    },
    inode::Inode,
    inode_ops::{
        InodeOps,
        Stat, //
    },
    PAGE_SHIFT, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// How far ahead of the reader a directory is read, in bytes.
const READ_AHEAD: u64 = 16384;

/// The on-disk type of a directory.
const FT_DIR: u8 = 2;

/// A directory's content. Its pages are its own: directories do not share.
fn content(dir: &Inode<Erofs>) -> Meta<'_> {
    Meta::content(dir.own_mapping(), dir.size())
}

impl InodeOps for Erofs {
    fn lookup(dir: &Inode<Self>, name: &[u8]) -> Result<Option<ARef<Inode<Self>>>> {
        let file = inode::file(dir);
        let bits = file.volume.sb.block;
        let found = dir::lookup(&mut content(dir), file.size, bits, name)
            .map_err(|fault| file.volume.report(file.nid, fault))?;
        match found {
            Some(entry) => inode::get(dir.super_block(), entry.nid).map(Some),
            None => Ok(None),
        }
    }

    fn stat(inode: &Inode<Self>, direct: bool) -> Stat {
        let compressed = is_compressed(inode);
        let dio_align = (direct && !compressed).then(|| {
            let device = inode::file(inode).volume.device();
            (device.dma_align(), device.logical_block_size())
        });
        Stat {
            compressed,
            dio_align,
        }
    }
}

impl DirOps for Erofs {
    fn iterate(dir: &Inode<Self>, out: &mut DirEmitter<'_>) -> Result {
        let file = inode::file(dir);
        let sb = &file.volume.sb;
        let mut content = content(dir);
        let mut name = [0; NAME_LEN];
        while out.pos() < file.size {
            if out.interrupted() {
                return Err(ERESTARTSYS);
            }
            read_ahead(file.size, out);
            let mut block = Block::open(&mut content, file.size, sb.block, out.pos())
                .map_err(|fault| file.volume.report(file.nid, fault))?;
            loop {
                out.set_pos(block.pos())?;
                let next = block
                    .next(&mut content, &mut name)
                    .map_err(|fault| file.volume.report(file.nid, fault))?;
                let Some((entry, name)) = next else {
                    break;
                };
                if !out.emit(name, sb.ino(entry.nid), entry.file_type) {
                    return Ok(());
                }
            }
            out.yield_now();
        }
        if dir::dot_is_due(file.body.dot_omitted, file.size, out.pos())
            && out.emit(b".", sb.ino(Nid(*dir.key())), FT_DIR)
        {
            out.set_pos(file.size.saturating_add(1))?;
        }
        Ok(())
    }
}

/// Starts reading the pages that the reader will want next.
fn read_ahead(size: u64, out: &mut DirEmitter<'_>) {
    let page = 1u64 << PAGE_SHIFT;
    let first = out.pos().div_ceil(page);
    let left = size.div_ceil(page).saturating_sub(first);
    let pages = left.min(READ_AHEAD >> PAGE_SHIFT);
    if pages > 1 {
        if let (Ok(first), Ok(pages)) = (usize::try_from(first), usize::try_from(pages)) {
            out.read_ahead(first, pages);
        }
    }
}

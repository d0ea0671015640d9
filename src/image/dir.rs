// SPDX-License-Identifier: GPL-2.0

//! Directories.

use super::{
    inode::{
        self,
        is_compressed, //
    },
    Erofs, //
};
use crate::data::{
    content::Content,
    file::File, //
};
use crate::format::{
    self,
    dir::{
        self,
        Block,
        NameBuf, //
    }, //
};
use crate::vfs::{
    dir::{
        DirEmitter,
        DirOps, //
    },
    inode::Inode,
    inode_ops::InodeOps,
    store::Store,
    PAGE_SIZE, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// The on-disk type of a directory.
const FT_DIR: u8 = 2;

impl InodeOps for Erofs {
    fn lookup(dir: &Inode<Self>, name: &[u8]) -> Result<Option<ARef<Inode<Self>>>> {
        let file = inode::file(dir);
        let bits = file.volume.sb.block;
        let found = dir::lookup(
            &mut Content::new(file, dir.own_pages().into()),
            file.size,
            bits,
            name,
        )
        .map_err(|fault| file.volume.report(file.nid, fault))?;
        match found {
            Some(entry) => inode::get(dir.super_block(), entry.nid).map(Some),
            None => Ok(None),
        }
    }

    fn is_compressed(inode: &Inode<Self>) -> bool {
        is_compressed(inode)
    }

    fn dio_align(inode: &Inode<Self>) -> Option<(u32, u32)> {
        match inode::file(inode).volume.primary() {
            Store::Block(device) if !is_compressed(inode) => {
                Some((device.dma_align(), device.logical_block_size()))
            }
            _ => None,
        }
    }
}

impl DirOps for Erofs {
    fn iterate(dir: &Inode<Self>, out: &mut DirEmitter<'_>) -> Result {
        let file = inode::file(dir);
        if out.pos() < file.size {
            list(Content::new(file, dir.own_pages().into()), file, out)?;
        }
        if dir::dot_is_due(file.body.dot_omitted, file.size, out.pos())
            && out.emit(b".", file.volume.sb.ino(file.nid), FT_DIR)
        {
            out.set_pos(file.size.saturating_add(1))?;
        }
        Ok(())
    }
}

/// Emits what the directory holds, from `out`'s position on, as far as the reader takes it.
fn list(mut content: Content<'_>, file: File<'_>, out: &mut DirEmitter<'_>) -> Result {
    let sb = &file.volume.sb;
    let mut emitted = false;
    let mut name: NameBuf = [0; size_of::<NameBuf>()];
    while out.pos() < file.size {
        if out.interrupted() {
            return Err(ERESTARTSYS);
        }
        // A small directory is in one page, mostly with its inode.
        if file.size > PAGE_SIZE as u64 {
            if let Some(((pages, pos), len)) = content.cached(out.pos()) {
                let ahead = file.volume.policy.dir_readahead();
                out.read_ahead(pages, pos, len.min(ahead.into()));
            }
        }
        let mut block = match Block::open(&mut content, file.size, sb.block, out.pos()) {
            Ok(block) => block,
            Err(fault) => return stop(&file, fault, emitted),
        };
        loop {
            out.set_pos(block.pos())?;
            let next = match block.next(&mut name) {
                Ok(next) => next,
                Err(fault) => return stop(&file, fault, emitted),
            };
            let Some((entry, name)) = next else {
                break;
            };
            if !out.emit(name, sb.ino(entry.nid), entry.file_type) {
                return Ok(());
            }
            emitted = true;
        }
        out.yield_now();
    }
    Ok(())
}

/// Ends a listing at a fault. Entries before a bad one are good: if there were any, the next call starts with the bad
/// one, and reports it.
fn stop(file: &File<'_>, fault: format::Error, emitted: bool) -> Result {
    match emitted {
        true => Ok(()),
        false => Err(file.volume.report(file.nid, fault)),
    }
}

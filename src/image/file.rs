// SPDX-License-Identifier: GPL-2.0

//! Regular files: opening, which is where sharing begins, and reading.

use super::{
    inode::{
        self,
        is_compressed, //
    },
    xattr,
    Erofs, //
};
use crate::data::file::File;
use crate::share::inode::{
    with_member,
    Content,
    SharedFs, //
};
use crate::vfs::{
    address_space::Fill,
    file::FileOps,
    inode::Inode,
    iomap::FileMap, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

impl FileOps for Erofs {
    fn open(inode: &Inode<Self>, direct: bool) -> Result {
        if direct && is_compressed(inode) {
            return Err(EINVAL);
        }
        share(inode)
    }

    fn check_readable(inode: &Inode<Self>) -> Result {
        inode::file(inode).check_readable()
    }

    fn label(inode: &Inode<Self>) -> [u8; 16] {
        inode::file(inode).volume.sb.volume_name
    }
}

impl FileMap for Erofs {
    type Source<'a> = File<'a>;

    fn source(inode: &Inode<Self>) -> File<'_> {
        inode::file(inode)
    }
}

impl Fill for Erofs {
    type SharedFs = SharedFs;

    fn with_member(shared: &Inode<SharedFs>, fill: impl FnOnce(&File<'_>) -> Result) -> Result {
        with_member(shared, fill)
    }
}

/// Lets the file read through shared pages, if it has a fingerprint and its mount shares.
fn share(inode: &Inode<Erofs>) -> Result {
    let image = inode.super_block().data();
    let Some(sharing) = &image.sharing else {
        return Ok(());
    };
    let node = inode.data();
    if inode.is_redirected() || node.private.load(Relaxed) {
        return Ok(());
    }
    let file = inode::file(inode);
    let fingerprint = match file.check_readable() {
        Ok(()) if file.size > 0 => xattr::fingerprint(image, &file)?,
        _ => None,
    };
    let Some(fingerprint) = fingerprint else {
        node.private.store(true, Relaxed);
        return Ok(());
    };
    let content = Content {
        fingerprint,
        size: file.size,
        blkbits: image.volume.sb.block.get() as u8,
    };
    sharing.join(inode, &image.volume, &file, content)?;
    image.show_sharing(sharing);
    Ok(())
}

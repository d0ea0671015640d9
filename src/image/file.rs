// SPDX-License-Identifier: GPL-2.0

//! Regular files: opening, which is where sharing begins, and reading.

use super::{
    inode,
    xattr,
    Erofs,
    Image, //
};
use crate::data::file::Reader;
use crate::share::{
    self,
    domain::Membership,
    inode::{
        Content,
        SharedFs, //
    },
    stats::Refusal, //
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
        if direct {
            Self::check_direct(inode)?;
        }
        join_once(inode)
    }

    fn check_direct(inode: &Inode<Self>) -> Result {
        match inode::file(inode).is_gathered() {
            true => Err(EINVAL),
            false => Ok(()),
        }
    }

    fn label(inode: &Inode<Self>) -> [u8; 16] {
        inode::file(inode).volume.sb.volume_name
    }
}

impl FileMap for Erofs {
    type Source<'a> = Reader<'a>;

    fn source(inode: &Inode<Self>) -> Reader<'_> {
        Reader::new(inode::file(inode))
    }
}

impl Fill for Erofs {
    type SharedFs = SharedFs;

    fn with_member<R>(
        shared: &Inode<SharedFs>,
        not: Option<&Reader<'_>>,
        fill: impl FnOnce(&Reader<'_>) -> Result<R>,
    ) -> Result<R> {
        let not = not.map(|reader| &reader.file);
        share::inode::with_member(shared, not, |file| fill(&Reader::new(file)))
    }

    fn has_other_member(shared: &Inode<SharedFs>, this: &Reader<'_>) -> bool {
        share::inode::has_other_member(shared, &this.file)
    }
}

/// Lets the file read through shared pages, if it has a fingerprint and its mount shares.
#[inline(always)]
fn join_once(inode: &Inode<Erofs>) -> Result {
    let image = inode.super_block().data();
    match &image.sharing {
        Some(sharing) if !inode.is_redirected() => join(inode, image, sharing),
        _ => Ok(()),
    }
}

/// [`join_once`] for a file that does not yet, apart from the opens that have nothing to do.
#[inline(never)]
fn join(inode: &Inode<Erofs>, image: &Image, sharing: &Membership) -> Result {
    let node = inode.data();
    if node.private.load(Relaxed) {
        return Ok(());
    }
    let file = inode::file(inode);
    let found = match file.size {
        0 => Err(Refusal::Empty),
        _ => xattr::fingerprint(image, &file)?.ok_or(Refusal::NoFingerprint),
    };
    let fingerprint = match found {
        Ok(fingerprint) => fingerprint,
        Err(why) => {
            node.private.store(true, Relaxed);
            image.refuse(sharing, why);
            return Ok(());
        }
    };
    let content = Content {
        fingerprint,
        size: file.size,
        blkbits: image.volume.sb.block.get() as u8,
    };
    let odd = sharing.join(inode, &image.volume, &file, content)?;
    image.show_sharing(sharing);
    if let Some(why) = odd {
        image.refuse(sharing, why);
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! A mounted image as a whole: statfs, options, unmount.

use super::{
    options,
    Erofs, //
};
use crate::format::{
    dir::NAME_LEN,
    inode::Nid,
    superblock::MAGIC, //
};
use crate::share::inode::SharedFs;
use crate::vfs::{
    inode::Inode,
    super_block::{
        OptionWriter,
        SuperBlock,
        SuperOps,
        Usage, //
    }, //
};
use kernel::sync::aref::ARef;

impl SuperOps for Erofs {
    type Shared = SharedFs;

    fn evict(inode: &Inode<Self>, redirected_to: ARef<Inode<SharedFs>>) {
        let volume = &inode.super_block().data().volume;
        redirected_to.data().leave(volume, Nid(*inode.key()));
    }

    fn put_super(sb: &SuperBlock<Self>) {
        let image = sb.data();
        let shown = image.shown.lock().take();
        drop(shown);
        // All inodes have left their shared ones, so no other image begins to read here any more.
        image.volume.drain();
    }

    fn removed(sb: &SuperBlock<Self>) {
        sb.data().volume.set_incomplete();
    }

    fn statfs(sb: &SuperBlock<Self>) -> Usage {
        let image = sb.data();
        let raw = &image.volume.sb;
        Usage {
            magic: MAGIC,
            block_size: 1 << raw.block.get(),
            blocks: raw.blocks.saturating_add(image.extra_blocks),
            inodes: raw.inos,
            name_len: NAME_LEN as u32,
        }
    }

    fn show_options(sb: &SuperBlock<Self>, out: &mut OptionWriter<'_>) {
        let image = sb.data();
        out.text(match image.shows_user_xattrs() {
            true => c",user_xattr",
            false => c",nouser_xattr",
        });
        out.text(match sb.has_acls() {
            true => c",acl",
            false => c",noacl",
        });
        if image.volume.sb.algorithms != 0 {
            out.text(options::cache_strategy_name(image.volume.policy.cache()));
        }
        match sb.options().dax {
            Some(true) if image.volume.is_dax() => out.text(c",dax=always"),
            Some(false) => out.text(c",dax=never"),
            _ => {}
        }
        if image.volume.is_in_files() && image.volume.policy.direct() {
            out.text(c",directio");
        }
        let fsoffset = sb.options().fsoffset;
        if fsoffset != 0 {
            out.number(c"fsoffset", fsoffset);
        }
        if image.sharing.is_some() {
            out.text(c",inode_share");
        }
    }
}

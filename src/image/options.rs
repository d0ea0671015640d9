// SPDX-License-Identifier: GPL-2.0

//! Mount options.

use crate::share::domain::DomainId;
use crate::vfs::mount::{
    MountLog,
    Param, //
};
use kernel::prelude::*;

/// The options of one mount. What is not named keeps its default, or on remount its value.
pub(crate) struct Options {
    pub(super) user_xattr: bool,
    /// For compressed data; nothing depends on it yet.
    pub(super) cache_strategy: i32,
    /// Where the image starts on its device, in bytes.
    pub(super) fsoffset: u64,
    pub(super) inode_share: bool,
    pub(super) domain_id: Option<DomainId>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_xattr: true,
            cache_strategy: READAROUND,
            fsoffset: 0,
            inode_share: false,
            domain_id: None,
        }
    }
}

const READAROUND: i32 = 2;

/// The name of a cache strategy, as `show_options` has it.
pub(super) fn cache_strategy_name(strategy: i32) -> &'static CStr {
    match strategy {
        0 => c",cache_strategy=disabled",
        1 => c",cache_strategy=readahead",
        _ => c",cache_strategy=readaround",
    }
}

impl Options {
    /// Takes one option; what this driver cannot do yet is refused, not ignored.
    pub(super) fn parse(&mut self, param: Param<'_>, log: &mut MountLog<'_>) -> Result {
        let missing = match param {
            Param::UserXattr(on) => {
                self.user_xattr = on;
                return Ok(());
            }
            Param::CacheStrategy(strategy) => {
                self.cache_strategy = i32::try_from(strategy)?;
                return Ok(());
            }
            Param::DomainId(id) => {
                self.domain_id = Some(DomainId::new(id)?);
                return Ok(());
            }
            Param::FsOffset(offset) => {
                self.fsoffset = offset;
                return Ok(());
            }
            Param::InodeShare => {
                self.inode_share = true;
                return Ok(());
            }
            // What it turns off is off. And block devices are read directly anyway.
            Param::Acl(false) | Param::DirectIo => return Ok(()),
            Param::Acl(true) => "POSIX ACLs are",
            Param::Device => "extra devices are",
            Param::SourceFd => "backing files are",
            Param::Dax => {
                log.error(fmt!("dax options not supported"));
                return Err(EINVAL);
            }
        };
        log.error(fmt!("{missing} not supported yet"));
        Err(EOPNOTSUPP)
    }
}

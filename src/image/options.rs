// SPDX-License-Identifier: GPL-2.0

//! Mount options.

use crate::data::policy::Cache;
use crate::share::domain::DomainId;
use crate::vfs::{
    dax,
    mount::{
        MountLog,
        Param, //
    }, //
};
use kernel::prelude::*;

/// The options of one mount. What is not named keeps its default, or on remount its value.
pub(crate) struct Options {
    pub(super) user_xattr: bool,
    pub(super) acl: bool,
    /// What is kept of decoded data.
    pub(super) cache: Cache,
    /// Whether files are read and mapped on the device itself: always, never, or it is not said.
    pub(super) dax: Option<bool>,
    /// Where the image starts on its device, in bytes.
    pub(super) fsoffset: u64,
    pub(super) inode_share: bool,
    pub(super) domain_id: Option<DomainId>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_xattr: true,
            acl: true,
            cache: Cache::ReadAround,
            dax: None,
            fsoffset: 0,
            inode_share: false,
            domain_id: None,
        }
    }
}

/// The name of a cache strategy, as `show_options` has it.
pub(super) fn cache_strategy_name(cache: Cache) -> &'static CStr {
    match cache {
        Cache::Disabled => c",cache_strategy=disabled",
        Cache::ReadAhead => c",cache_strategy=readahead",
        Cache::ReadAround => c",cache_strategy=readaround",
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
            Param::Acl(on) => {
                self.acl = on;
                return Ok(());
            }
            Param::CacheStrategy(strategy) => {
                self.cache = Cache::new(strategy);
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
            // Block devices are read directly anyway.
            Param::DirectIo => return Ok(()),
            Param::Device => "extra devices are",
            Param::SourceFd => "backing files are",
            Param::Dax(always) if dax::AVAILABLE => {
                self.dax = Some(always);
                return Ok(());
            }
            Param::Dax(_) => {
                log.error(fmt!("dax options not supported"));
                return Err(EINVAL);
            }
        };
        log.error(fmt!("{missing} not supported yet"));
        Err(EOPNOTSUPP)
    }
}

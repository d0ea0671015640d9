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
use kernel::{
    prelude::*,
    str::CString, //
};

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
    /// Paths of the extra devices, in the order of the device table.
    pub(super) devices: KVec<CString>,
    /// Whether backing files are read past their page cache.
    pub(super) directio: bool,
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
            devices: KVec::new(),
            directio: false,
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
    /// Takes one option.
    pub(super) fn parse(&mut self, param: Param<'_>, log: &mut MountLog<'_>) -> Result {
        match param {
            Param::UserXattr(on) => self.user_xattr = on,
            Param::Acl(on) => self.acl = on,
            Param::CacheStrategy(strategy) => self.cache = Cache::new(strategy),
            Param::DomainId(id) => self.domain_id = Some(DomainId::new(id)?),
            Param::FsOffset(offset) => self.fsoffset = offset,
            Param::InodeShare => self.inode_share = true,
            Param::Device(path) => {
                let path = CString::try_from_fmt(fmt!("{path}"))?;
                self.devices.push(path, GFP_KERNEL)?;
            }
            Param::DirectIo(on) => self.directio = on,
            Param::Dax(always) if dax::AVAILABLE => self.dax = Some(always),
            Param::Dax(_) => {
                log.error(fmt!("dax options not supported"));
                return Err(EINVAL);
            }
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0

//! From a range of a file to its bytes.
//!
//! A [`File`](file::File) is what reading needs of an inode: the volume it lies on and the copy of its body. It says
//! where extents are. Bytes that lie on a block device as they are iomap and the block layer bring; those in a backing
//! file `plain` does, and `compressed` all that have to be decoded. Nothing here knows who shares the pages that are
//! filled.

pub(crate) mod compressed;
pub(crate) mod content;
pub(crate) mod decoder;
pub(crate) mod device;
pub(crate) mod file;
pub(crate) mod leftovers;
pub(crate) mod meta;
mod plain;
pub(crate) mod policy;
mod trace;
pub(crate) mod volume;

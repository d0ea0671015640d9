// SPDX-License-Identifier: GPL-2.0

//! Whole trees, read back from images of many kinds.

use crate::content::Content;
use crate::format::compress;
use crate::format::compress::Space;
use crate::format::compress::Stored;
use crate::format::dir::Dirent;
use crate::format::inode::FileType;
use crate::format::inode::Layout;
use crate::format::inode::Nid;
use crate::format::Source;
use crate::reader::File;
use crate::reader::Image;
use crate::reader::NamedValue;
use crate::tree::everything;
use crate::tree::paths;
use crate::tree::Workshop;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What an image keeps of its source.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Times {
    /// Each file's own, or what is left of it.
    Own { nsec: bool },
    /// One for all.
    All(i64),
}

/// How often each was met.
pub(crate) type Kinds = BTreeMap<&'static str, usize>;

struct Comparison<'a> {
    image: &'a Image,
    times: Times,
    xattrs: bool,
    all_root: bool,
    /// How often each kind of layout, and of extents in compressed files, was met.
    layouts: Kinds,
    /// Nids of files with several links, by their source's number.
    links: BTreeMap<u64, Nid>,
}

fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Plain { start: None } => "null",
        Layout::Plain { .. } => "plain",
        Layout::Inline { .. } => "inline",
        Layout::Chunk { indexes: false, .. } => "blocks",
        Layout::Chunk { .. } => "indexes",
        Layout::Compressed { full: true } => "full",
        Layout::Compressed { .. } => "compact",
    }
}

fn extent_name(extent: &compress::Extent) -> &'static str {
    match extent.stored {
        Stored::Hole => "hole",
        Stored::Fragment { .. } if extent.pos == 0 => "whole fragment",
        Stored::Fragment { .. } => "tail fragment",
        Stored::Encoded { partial: true, .. } => "partial",
        Stored::Encoded { run, .. } | Stored::Plain { run, .. } if run.space == Space::Inode => {
            "tail"
        }
        Stored::Encoded { algorithm, .. } => algorithm.name(),
        Stored::Plain { head: 0, .. } => "shifted",
        Stored::Plain { .. } => "interlaced",
    }
}

/// The type that a directory entry of this inode has to tell.
fn dirent_type(file_type: FileType) -> u8 {
    match file_type {
        FileType::Regular => 1,
        FileType::Directory => 2,
        FileType::Char => 3,
        FileType::Block => 4,
        FileType::Fifo => 5,
        FileType::Socket => 6,
        FileType::Symlink => 7,
    }
}

fn source_xattrs(path: &Path) -> Vec<NamedValue> {
    let mut all: Vec<_> = xattr::list(path)
        .expect("the source has xattrs")
        .map(|name| {
            let value = xattr::get(path, &name).expect("ours").expect("listed");
            (name.as_bytes().to_vec(), value)
        })
        .collect();
    all.sort();
    all
}

impl Comparison<'_> {
    fn inode(&mut self, path: &Path, nid: Nid) -> File {
        let inode = self
            .image
            .inode(nid)
            .unwrap_or_else(|error| panic!("{path:?}: {error:?}"));
        let meta = path.symlink_metadata().expect("ours");
        let kind = meta.file_type();
        assert_eq!(u32::from(inode.mode), meta.mode(), "mode of {path:?}");
        assert_eq!(inode.file_type == FileType::Directory, kind.is_dir());
        let owner = if self.all_root {
            (0, 0)
        } else {
            (meta.uid(), meta.gid())
        };
        assert_eq!((inode.uid, inode.gid), owner, "owner of {path:?}");
        assert_eq!(u64::from(inode.nlink), meta.nlink(), "links of {path:?}");
        match self.times {
            Times::Own { nsec } => {
                assert_eq!(inode.mtime, meta.mtime(), "time of {path:?}");
                if nsec {
                    assert_eq!(
                        i64::from(inode.mtime_nsec),
                        meta.mtime_nsec(),
                        "time of {path:?}"
                    );
                }
            }
            Times::All(time) => assert_eq!((inode.mtime, inode.mtime_nsec), (time, 0)),
        }
        if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = (
                rustix::fs::major(meta.rdev()),
                rustix::fs::minor(meta.rdev()),
            );
            assert_eq!(inode.rdev, (major, minor), "device {path:?}");
        } else {
            assert_eq!(inode.rdev, (0, 0));
        }
        if kind.is_file() {
            assert_eq!(inode.size, meta.size(), "size of {path:?}");
            if !matches!(inode.body.layout, Layout::Compressed { .. }) {
                let block = self.image.sb.block.size();
                assert_eq!(inode.blocks512, inode.size.next_multiple_of(block) / 512);
            }
        }
        if self.xattrs && !kind.is_symlink() {
            let mut found = self.image.xattrs(&inode).expect("good xattrs");
            found.sort();
            assert_eq!(found, source_xattrs(path), "xattrs of {path:?}");
        }
        inode
    }

    fn tree(&mut self, path: &Path, nid: Nid, parent: Nid) {
        let inode = self.inode(path, nid);
        *self
            .layouts
            .entry(layout_name(inode.body.layout))
            .or_default() += 1;
        let kind = path.symlink_metadata().expect("ours").file_type();
        if kind.is_dir() {
            self.directory(path, nid, parent, &inode);
        } else if kind.is_symlink() {
            let target = self.image.target(&inode).expect("a good target");
            let expected = fs::read_link(path).expect("ours");
            assert_eq!(target, expected.as_os_str().as_bytes(), "{path:?}");
            // Read like a file it is the same.
            let mut data = vec![0; target.len()];
            self.image
                .content(&inode)
                .read(0, &mut data)
                .expect("good data");
            assert_eq!(data, target);
        } else if kind.is_file() {
            self.file(path, &inode);
            if inode.nlink > 1 {
                let number = path.metadata().expect("ours").ino();
                let known = *self.links.entry(number).or_insert(nid);
                assert_eq!(known, nid, "{path:?} is one file");
            }
        }
    }

    fn directory(&mut self, path: &Path, nid: Nid, parent: Nid, inode: &File) {
        let listed = self.image.list(inode).expect("a good directory");
        let mut entries: BTreeMap<Vec<u8>, Dirent> = listed.iter().cloned().collect();
        assert_eq!(entries.len(), listed.len(), "no name twice in {path:?}");
        let stored = listed.len() - usize::from(inode.body.dot_omitted);
        assert!(
            listed[..stored].is_sorted_by(|a, b| a.0 < b.0),
            "order in {path:?}"
        );

        for (name, dirent) in &listed[..stored] {
            let found = self.image.lookup(inode, name).expect("a good directory");
            assert_eq!(found, Some(*dirent), "{name:?} in {path:?}");
            for other in [&name[..name.len() - 1], &[name, &b"\x01"[..]].concat()] {
                if entries.contains_key(other) || other.len() > 255 || other == b"." {
                    continue;
                }
                let found = self.image.lookup(inode, other).expect("a good directory");
                assert_eq!(found, None, "{other:?} in {path:?}");
            }
        }
        for missing in [&b"\x01\x01"[..], b"missing", b"zzzz", b"\xff\xff\xff"] {
            assert_eq!(self.image.lookup(inode, missing), Ok(None));
        }

        assert_eq!(entries.remove(&b"."[..]).map(|dot| dot.nid), Some(nid));
        assert_eq!(entries.remove(&b".."[..]).map(|dot| dot.nid), Some(parent));
        for entry in fs::read_dir(path).expect("ours") {
            let entry = entry.expect("ours");
            let dirent = entries
                .remove(entry.file_name().as_bytes())
                .unwrap_or_else(|| panic!("{:?} is missing", entry.path()));
            let child = self.image.inode(dirent.nid).expect("a good inode");
            assert_eq!(dirent.file_type, dirent_type(child.file_type));
            self.tree(&entry.path(), dirent.nid, nid);
        }
        assert!(entries.is_empty(), "{path:?} has no {entries:?}");
    }

    /// Extents tile the file, and each of their bytes leads to them.
    fn extents(&mut self, path: &Path, content: &Content<'_>, size: u64) {
        let mut pos = 0;
        while pos < size {
            let extent = content.extent(pos).expect("a good index");
            let extent = extent.expect("a compressed file");
            assert_eq!(extent.pos, pos, "{path:?}");
            let end = pos + extent.len;
            *self.layouts.entry(extent_name(&extent)).or_default() += 1;
            for byte in [1, 7, extent.len / 2, extent.len / 3, extent.len - 1] {
                let byte = pos + byte.min(extent.len - 1);
                assert_eq!(content.extent(byte), Ok(Some(extent)), "{path:?} at {byte}");
            }
            pos = end;
        }
        assert_eq!(pos, size, "{path:?}");
    }

    fn file(&mut self, path: &Path, inode: &File) {
        let expected = fs::read(path).expect("ours");
        let image = self.image;
        let mut content = image.content(inode);
        if let Layout::Compressed { .. } = inode.body.layout {
            if let Some(name) = content.table() {
                *self.layouts.entry(name).or_default() += 1;
            }
            self.extents(path, &content, inode.size);
        }
        let mut data = vec![0xee; expected.len()];
        content.read(0, &mut data).expect("good data");
        assert!(data == expected, "content of {path:?}");
        // In odd pieces, so that mapping starts anywhere.
        for (i, part) in expected.chunks(3001).enumerate() {
            let mut data = vec![0xee; part.len()];
            content.read(3001 * i as u64, &mut data).expect("good data");
            assert!(data == part, "content of {path:?} at {}", 3001 * i);
        }
    }
}

/// Makes an image with `options` and compares it with its source; the layouts that it uses.
pub(crate) fn compare(shop: &Workshop, options: &[&str], times: Times) -> Kinds {
    let image = Image::mount(shop.mkfs(options)).expect("a good superblock");
    let root = image.sb.root_nid;
    let mut comparison = Comparison {
        image: &image,
        times,
        xattrs: !options.contains(&"-x-1"),
        all_root: options.contains(&"--all-root"),
        layouts: BTreeMap::new(),
        links: BTreeMap::new(),
    };
    comparison.tree(&shop.tree(), root, root);
    assert_eq!(comparison.links.len(), 1);
    if !image.sb.has_metabox() {
        assert_eq!(image.sb.ino(root), root.0);
    }
    comparison.layouts
}

pub(crate) const OWN: Times = Times::Own { nsec: true };

fn shop() -> Workshop {
    let shop = Workshop::new();
    everything(&shop.tree());
    assert!(paths(&shop.tree()).len() > 1600);
    shop
}

#[test]
fn default_and_block_sizes() {
    let shop = shop();
    let layouts = compare(&shop, &[], OWN);
    assert!(layouts["plain"] > 5 && layouts["inline"] > 5, "{layouts:?}");
    for option in ["-b512", "-b1024", "-b2048", "-b4096"] {
        compare(&shop, &[option], OWN);
    }
}

#[test]
fn inode_sizes_and_times() {
    let shop = shop();
    compare(&shop, &["-Eforce-inode-extended"], OWN);
    compare(
        &shop,
        &["-Eforce-inode-compact", "--all-root", "-T1234567"],
        Times::All(1_234_567),
    );
    compare(&shop, &["-T77"], Times::All(77));
    compare(&shop, &["-b512", "-T77", "-Enosbcrc"], Times::All(77));
}

#[test]
fn without_inline_data() {
    let shop = shop();
    let with = compare(&shop, &[], OWN);
    let without = compare(&shop, &["-Enoinline_data"], OWN);
    assert!(without["plain"] > with["plain"], "{with:?} {without:?}");
}

#[test]
fn chunks() {
    let shop = shop();
    for size in ["4096", "16384", "65536"] {
        let chunksize = format!("--chunksize={size}");
        let layouts = compare(&shop, &[&chunksize], OWN);
        assert!(layouts["blocks"] > 5, "{layouts:?}");
        let layouts = compare(&shop, &[&chunksize, "-Eforce-chunk-indexes"], OWN);
        assert!(layouts["indexes"] > 5, "{layouts:?}");
    }
    compare(&shop, &["-b512", "--chunksize=512"], OWN);
    compare(
        &shop,
        &["-b512", "--chunksize=1024", "-Eforce-chunk-indexes"],
        OWN,
    );
    // Without the feature bit.
    let layouts = compare(&shop, &["-Ededupe"], OWN);
    assert!(
        layouts
            .keys()
            .any(|name| ["blocks", "indexes"].contains(name)),
        "{layouts:?}"
    );
}

#[test]
fn xattr_storage() {
    let shop = shop();
    for option in [
        "-x0",
        "-x1",
        "-x2147483647",
        "-x-1",
        "-E^xattr-name-filter",
        "--root-xattr-isize=3000",
    ] {
        compare(&shop, &[option], OWN);
    }
    compare(
        &shop,
        &["--xattr-prefix=trusted.overlay.", "--xattr-prefix=user.na"],
        OWN,
    );
    compare(&shop, &["--xattr-prefix=user.shared", "-x0", "-b512"], OWN);
}

#[test]
fn wide_addresses() {
    // Compact inodes then have times of their own, but to the second.
    let times = Times::Own { nsec: false };
    let shop = shop();
    let layouts = compare(&shop, &["-E48bit"], times);
    assert!(layouts["null"] > 0, "{layouts:?}");
    compare(&shop, &["-E48bit", "--chunksize=4096"], times);
    compare(
        &shop,
        &["-E48bit,force-inode-compact", "-b512", "--all-root"],
        times,
    );
    compare(&shop, &["-Edot-omitted"], times);
    compare(&shop, &["-Edot-omitted", "-b512"], times);
}

#[test]
fn metadata_zone() {
    let shop = shop();
    compare(&shop, &["--MZ"], OWN);
    compare(&shop, &["--MZ=i"], OWN);
}

#[test]
fn fingerprints() {
    let shop = shop();
    for (option, listed) in [
        ("--xattr-inode-digest", false),
        ("--xattr-inode-digest=user.digest", true),
    ] {
        let image = Image::mount(shop.mkfs(&[option])).expect("a good superblock");
        let root = image.inode(image.sb.root_nid).expect("a good inode");
        let mut seen = BTreeMap::new();
        for (name, _) in image.list(&root).expect("good") {
            let dirent = image.lookup(&root, &name).expect("good").expect("listed");
            let inode = image.inode(dirent.nid).expect("a good inode");
            let found = image.fingerprint(&inode).expect("good xattrs");
            let due = inode.file_type == FileType::Regular && inode.size > 0;
            assert_eq!(found.is_some(), due, "{}", String::from_utf8_lossy(&name));
            let visible = image.xattrs(&inode).expect("good xattrs");
            let visible = visible.iter().any(|(name, _)| name == b"user.digest");
            assert_eq!(visible, due && listed);
            let Some(found) = found else { continue };
            assert_eq!((&found[..7], found.len()), (&b"sha256:"[..], 39));
            // Equal content, and only that, has equal fingerprints.
            let path = shop.tree().join(std::ffi::OsStr::from_bytes(&name));
            let data = fs::read(path).expect("ours");
            assert_eq!(*seen.entry(found).or_insert_with(|| data.clone()), data);
        }
        assert!(seen.len() > 20);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The tree of files that images are made from, and mkfs.erofs.
//!
//! Device nodes, foreign owners and trusted xattrs need root: without it the tree has none.

use rustix::fs::makedev;
use rustix::fs::mknodat;
use rustix::fs::utimensat;
use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::CWD;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A folder for one test's tree and images.
pub(crate) struct Workshop {
    dir: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the test");
        let shop = Self { dir };
        fs::create_dir(shop.tree()).expect("a folder for the tree");
        shop
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// Makes an image of the tree and returns its bytes.
    pub(crate) fn mkfs(&self, options: &[&str]) -> Vec<u8> {
        let image = self.dir.path().join("image");
        let mkfs = std::env::var_os("MKFS_EROFS").unwrap_or("mkfs.erofs".into());
        let output = Command::new(&mkfs)
            .arg("--quiet")
            .args(options)
            .arg(&image)
            .arg(self.tree())
            .output()
            .unwrap_or_else(|error| panic!("{mkfs:?} (or MKFS_EROFS): {error}"));
        assert!(
            output.status.success(),
            "mkfs.erofs {options:?}: {output:?}"
        );
        let data = fs::read(&image).expect("mkfs leaves an image");
        fs::remove_file(&image).expect("the image is ours");
        data
    }
}

/// Bytes that no two files share, from a seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets an xattr where the filesystem and our rights allow it.
fn set(path: &Path, name: &str, value: &[u8]) {
    let root_only = !name.starts_with("user.");
    match xattr::set(path, name, value) {
        Err(error) if !root_only => panic!("{name} on {}: {error}", path.display()),
        _ => (),
    }
}

fn node(path: &Path, kind: FileType, mode: u32, major: u32, minor: u32) {
    let (mode, dev) = (Mode::from_raw_mode(mode), makedev(major, minor));
    mknodat(CWD, path, kind, mode, dev).unwrap_or_else(|error| panic!("{path:?}: {error}"));
}

/// A time with nanoseconds, from long ago to far ahead.
fn touch(path: &Path, i: i64) {
    let time = Timespec {
        tv_sec: 86_400 * 365 * (i % 80),
        tv_nsec: (i * 7_654_321) % 1_000_000_000,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .unwrap_or_else(|error| panic!("{path:?}: {error}"));
}

/// A file with data and holes, and a tail that ends in a block.
fn sparse(path: &Path, pieces: &[(u64, usize)], size: u64) {
    let file = fs::File::create(path).expect("a new file");
    for &(pos, len) in pieces {
        file.write_all_at(&noise(pos + 99, len), pos).expect("room");
    }
    file.set_len(size).expect("room");
}

/// A tree with everything that an image can hold.
pub(crate) fn everything(tree: &Path) {
    let file = |name: &str, data: &[u8]| fs::write(tree.join(name), data).expect("room");
    for size in [
        0, 1, 12, 511, 512, 513, 4000, 4095, 4096, 4097, 5000, 8192, 65536, 100_000,
    ] {
        file(&format!("size-{size}"), &noise(size as u64 + 1, size));
    }
    file("large", &noise(7, 1 << 20));
    file("zeros", &vec![0; 65536]);
    file("repeats", &noise(8, 4096).repeat(32));
    fs::hard_link(tree.join("size-12"), tree.join("link-1")).expect("a link");
    fs::hard_link(tree.join("size-12"), tree.join("link-2")).expect("a link");
    sparse(
        &tree.join("sparse-1"),
        &[(0, 65536), (200_000, 70_000)],
        400_100,
    );
    sparse(&tree.join("sparse-2"), &[(65_536, 4096)], 1 << 20);
    sparse(&tree.join("sparse-3"), &[(100_000, 5000)], 105_000);
    sparse(&tree.join("hole"), &[], 1 << 20);
    sparse(&tree.join("small-hole"), &[], 5000);

    names(tree);
    symlinks(tree);
    xattrs(tree);

    UnixListener::bind(tree.join("s")).expect("a socket");
    node(&tree.join("fifo"), FileType::Fifo, 0o640, 0, 0);
    if root() {
        node(
            &tree.join("char"),
            FileType::CharacterDevice,
            0o600,
            1234,
            567_890,
        );
        node(&tree.join("block"), FileType::BlockDevice, 0o660, 7, 255);
        for (i, name) in ["size-1", "size-512", "fifo", "many"]
            .into_iter()
            .enumerate()
        {
            let id = [65535, 65536, 4_000_000_000, 1001][i];
            std::os::unix::fs::lchown(tree.join(name), Some(id), Some(id - 1))
                .expect("we are root");
        }
    }
    for (name, mode) in [
        ("size-0", 0o4755),
        ("size-1", 0o400),
        ("many", 0o3771),
        ("large", 0o7777),
    ] {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).expect("ours");
    }
    touch_all(tree);
}

/// Lines that compress to about a third, from a seed.
pub(crate) fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 16);
    for byte in noise(seed, len / 4 + 1) {
        text.extend(
            &b"the quick brown fox jumps over a lazy dog and runs"[usize::from(byte % 40)..]
                [..usize::from(byte >> 4) % 10 + 1],
        );
    }
    while text.len() < len {
        text.extend_from_within(..text.len().min(len - text.len()));
    }
    text.truncate(len);
    text
}

/// A tree of files that are worth compressing, some in part only.
pub(crate) fn compressible(tree: &Path) {
    let file = |name: &str, data: &[u8]| fs::write(tree.join(name), data).expect("room");
    for size in [
        0, 1, 100, 511, 513, 2000, 4095, 4096, 4097, 5000, 8192, 12_288, 16_385, 65_536, 100_000,
        200_000,
    ] {
        file(&format!("text-{size}"), &text(size as u64 + 1, size));
    }
    file("large", &text(5, 3 << 20));
    file("noise", &noise(6, 150_000));
    let mixed = [
        text(7, 70_000),
        noise(7, 90_001),
        text(8, 50_000),
        noise(9, 777),
    ]
    .concat();
    file("mixed", &mixed);
    file("zeros", &vec![0; 1_000_000]);
    file("units", &text(10, 65_536).repeat(20));
    file("noisy-units", &noise(11, 65_536).repeat(4));
    sparse(
        &tree.join("sparse"),
        &[(0, 10_000), (1 << 20, 5000)],
        (2 << 20) + 77,
    );
    // What is the same starts anywhere, and has other neighbours.
    for (i, start) in [0, 1000, 33_333, 100_001].into_iter().enumerate() {
        let own = text(100 + i as u64, 20_000 + 3000 * i);
        file(
            &format!("overlap-{i}"),
            &[&own[..], &mixed[start..], &own[..5000]].concat(),
        );
    }
    fs::hard_link(tree.join("text-100"), tree.join("link")).expect("a link");
    let many = tree.join("many");
    fs::create_dir(&many).expect("a folder");
    for i in 0..400u64 {
        let path = many.join(format!("file-{i}"));
        fs::write(&path, text(i, 37 * usize::try_from(i).expect("small"))).expect("room");
        if i % 10 == 0 {
            set(&path, "user.shared", b"the same for all");
            set(&path, "user.own", format!("only {i}").as_bytes());
        }
    }
    symlinks(tree);
    touch_all(tree);
}

/// Gives each file a time of its own.
fn touch_all(tree: &Path) {
    for (i, path) in paths(tree).iter().enumerate() {
        touch(path, i.try_into().expect("few files"));
    }
}

/// Names that make sorting and searching hard.
fn names(tree: &Path) {
    let many = tree.join("many");
    fs::create_dir(&many).expect("a folder");
    for i in 0..1500 {
        let mut file = fs::File::create(many.join(format!("file-{i}"))).expect("a file");
        if i % 50 == 0 {
            writeln!(file, "content of {i}").expect("room");
        }
    }
    let odd = tree.join("odd");
    fs::create_dir(&odd).expect("a folder");
    for len in [1, 2, 100, 254, 255] {
        fs::write(odd.join("n".repeat(len)), b"").expect("a file");
    }
    let prefix = "p".repeat(240);
    for i in 0..60 {
        fs::write(odd.join(format!("{prefix}{i:02}")), b"").expect("a file");
    }
    for name in [
        &b"!"[..],
        b" ",
        b"-",
        b"...",
        b".a",
        b"\x01",
        b"\x7f",
        b"\xff",
        b"\xff\xfe",
        b"a\\b",
    ] {
        fs::write(odd.join(std::ffi::OsStr::from_bytes(name)), name).expect("a file");
    }
    fs::create_dir(tree.join("empty")).expect("a folder");
    fs::create_dir_all(tree.join("deep/a/b/c/d/e")).expect("folders");
    fs::write(tree.join("deep/a/b/c/d/e/file"), b"deep").expect("a file");
}

fn symlinks(tree: &Path) {
    for len in [1, 20, 400, 3000, 4030, 4095] {
        let target = "t/".repeat(2048)[..len].to_owned();
        std::os::unix::fs::symlink(target, tree.join(format!("symlink-{len}"))).expect("a link");
    }
}

/// Xattrs of their own, shared by many, long, empty, and with a long prefix.
fn xattrs(tree: &Path) {
    for i in 0..30 {
        let path = tree.join(format!("xattr-{i}"));
        fs::write(&path, b"x").expect("a file");
        set(&path, "user.shared", b"the same for all");
        set(&path, "user.own", format!("only {i}").as_bytes());
        set(&path, &format!("user.name{i}"), b"");
        if i % 3 == 0 {
            set(&path, "trusted.overlay.opaque", b"y");
            set(
                &path,
                "trusted.overlay.redirect",
                format!("/{i}").as_bytes(),
            );
            set(&path, "security.label", b"one two\0");
        }
    }
    set(&tree.join("xattr-1"), "user.long", &noise(3, 1500));
    set(
        &tree.join("xattr-2"),
        &format!("user.{}", "n".repeat(250)),
        b"long name",
    );
    set(&tree.join("many"), "user.shared", b"the same for all");
    for (name, size) in [("size-5000", 3), ("size-4000", 60), ("large", 900)] {
        set(&tree.join(name), "user.before-data", &noise(4, size));
    }
}

/// Everything in the tree, its root first.
pub(crate) fn paths(tree: &Path) -> Vec<PathBuf> {
    let mut paths = vec![tree.to_owned()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        if !path.is_symlink() && path.is_dir() {
            let entries = fs::read_dir(&path).expect("ours");
            paths.extend(entries.map(|entry| entry.expect("ours").path()));
        }
    }
    paths
}

// SPDX-License-Identifier: GPL-2.0

//! The room compiled alone, optimized and with overflow checks, refers to no panic.
//!
//! A panic in the module is a kernel crash. The whole list of undefined symbols is looked at, so
//! that a call into a library that may panic shows as well.

use std::path::Path;
use std::process::Command;

/// What compiled code may call: the kernel has these too.
const ALLOWED: [&str; 4] = ["memcpy", "memset", "memcmp", "bcmp"];

/// Builds `src/lib.rs` in a folder of its own and returns what it refers to.
fn undefined_symbols(features: &str) -> Vec<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("door");
    let object = target.join(format!("door-{features}.o"));
    let status = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--locked", "--release", "--lib"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .args(["--features", features])
        .arg("--target-dir")
        .arg(&target)
        .arg("--")
        .arg(format!("--emit=obj={}", object.display()))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the room does not build alone");

    let output = Command::new("nm")
        .arg("-u")
        .arg(object)
        .output()
        .expect("nm of binutils runs");
    assert!(output.status.success(), "nm: {output:?}");
    String::from_utf8(output.stdout)
        .expect("symbols are ASCII")
        .split_whitespace()
        .filter(|word| *word != "U")
        .map(str::to_owned)
        .collect()
}

#[test]
fn door_cannot_panic() {
    let symbols = undefined_symbols("");
    let foreign: Vec<_> = symbols
        .iter()
        .filter(|symbol| !ALLOWED.contains(&symbol.as_str()))
        .collect();
    assert!(foreign.is_empty(), "the room calls {foreign:?}");
    assert!(
        symbols.iter().any(|symbol| symbol == "memcpy"),
        "the object is empty: {symbols:?}"
    );
}

#[test]
fn a_panic_would_be_found() {
    let symbols = undefined_symbols("control");
    assert!(
        symbols.iter().any(|symbol| symbol.contains("panicking")),
        "no panic in {symbols:?}"
    );
}

# SPDX-License-Identifier: GPL-2.0
# Where setup puts what it makes, and which tool chain everything is built with. Sourced, never run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${EROFS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/erofs-rust}
tools=$cache/tools
llvm=19
kernel_series=7.3
erofs_utils_min=1.9.4

# Debian's own compilers, also where a rustup tool chain stands first in PATH: that one has no library source.
export RUSTC=${RUSTC:-/usr/bin/rustc} RUSTDOC=${RUSTDOC:-/usr/bin/rustdoc} HOSTRUSTC=${HOSTRUSTC:-/usr/bin/rustc}
export RUSTFMT=${RUSTFMT:-/usr/bin/rustfmt} CLIPPY_DRIVER=${CLIPPY_DRIVER:-/usr/bin/clippy-driver} CARGO=${CARGO:-/usr/bin/cargo}
export LIBCLANG_PATH=${LIBCLANG_PATH:-/usr/lib/llvm-$llvm/lib}
export PATH=$tools/bin:$PATH

die() { echo "${0##*/}: $*" >&2; exit 1; }

# The highest version among the lines of stdin.
newest() { sort -V | tail -n 1; }

rust_lib_src() {
    local d
    for d in "${RUST_LIB_SRC:-}" "$("$RUSTC" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" /usr/src/rustc-*/library; do
        [ -f "$d/core/src/lib.rs" ] && { echo "$d"; return; }
    done
    return 1
}

bindgen_path() {
    if [ -n "${BINDGEN:-}" ]; then echo "$BINDGEN"
    elif [ -x "$tools/bin/bindgen" ]; then echo "$tools/bin/bindgen"
    else command -v bindgen; fi
}

# The unpacked kernel sources; the newest of the series, or nothing.
kernel_source() { ls -d "$cache/linux/$kernel_series".* 2>/dev/null | grep -v '\.tmp$' | newest; }

# What a kernel build depends on, as a short key: its build folder's name ends in it.
kernel_key() { # plain|debug
    {
        basename "$(kernel_source)"
        cat "$top/scripts/kernel.config"
        [ "$1" = debug ] && cat "$top/scripts/debug.config"
        "$RUSTC" -vV
        "clang-$llvm" --version | head -n 1
        "$(bindgen_path)" --version
    } | sha256sum | cut -c 1-12
}

kernel_build() { echo "$cache/kernel-$1-$(kernel_key "$1")"; } # plain|debug

# The arguments that every make in a kernel tree needs.
kernel_make_args() {
    echo "LLVM=-$llvm RUSTC=$RUSTC RUSTDOC=$RUSTDOC HOSTRUSTC=$HOSTRUSTC RUSTFMT=$RUSTFMT" \
        "CLIPPY_DRIVER=$CLIPPY_DRIVER RUST_LIB_SRC=$(rust_lib_src) BINDGEN=$(bindgen_path)"
}

# The boot image of a kernel build, and back.
kernel_image() { echo "$(kernel_build "$1")/arch/x86/boot/bzImage"; } # plain|debug
kernel_build_of() { (cd "$(dirname "$1")/../../.." && pwd); } # BZIMAGE

# Where the module for a kernel build folder lies: a folder for each, so that they do not overwrite each other.
module_build() { # KERNEL-BUILD-FOLDER
    case $1 in
        "$(kernel_build plain)") echo "$top/build/plain" ;;
        "$(kernel_build debug)") echo "$top/build/debug" ;;
        *) echo "$top/build/$(basename "$1")" ;;
    esac
}

# SPDX-License-Identifier: GPL-2.0
# Results in the Test Anything Protocol. Sourced.

tap_count=0 tap_failed=0

# Runs a command as one test. Its output comes first, as comments if it fails, else not at all.
tap() { # NAME COMMAND...
    local name=$1 output status=0
    shift
    tap_count=$((tap_count + 1))
    output=$("$@" 2>&1) || status=$?
    if [ $status = 0 ]; then
        echo "ok $tap_count - $name"
    else
        sed 's/^/# /' <<<"$output"
        echo "not ok $tap_count - $name"
        tap_failed=$((tap_failed + 1))
    fi
}

# The plan comes last, when the number is known.
tap_done() { echo "1..$tap_count"; [ $tap_failed = 0 ]; }

#!/usr/bin/env bash
# A C compiler, which the tests of compiled bots build their programs with.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

command -v gcc >/dev/null && exit 0
can_apt || die "A C compiler is needed for the tests: install gcc and the C library's headers."
say "Installing gcc (the tests build programs in C)"
apt_install gcc libc6-dev

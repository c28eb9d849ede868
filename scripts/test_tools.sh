#!/usr/bin/env bash
# What the tests need beside Python: a C compiler, with which those of compiled bots build their
# programs, and openssl, which makes a certificate that nobody signed.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

packages=()
command -v gcc >/dev/null || packages+=(gcc libc6-dev)
command -v openssl >/dev/null || packages+=(openssl)
[ ${#packages[@]} -eq 0 ] && exit 0
can_apt || die "The tests need what is not installed here: ${packages[*]}. Install these packages."
say "Installing for the tests: ${packages[*]}"
apt_install "${packages[@]}"

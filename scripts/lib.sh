# Shared by the set-up scripts: messages and Debian packages.

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Whether missing packages can be installed here: Debian or Ubuntu, as root.
can_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
    grep -qsE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update >/dev/null || say "apt-get update failed; trying with the lists that are there"
  apt-get -qy install --no-install-recommends "$@" | sed -un 's/^Setting up /  /p'
}

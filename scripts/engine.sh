#!/usr/bin/env bash
# Sees to it that a Docker engine answers. On Debian and Ubuntu, as root, a missing one is
# installed and started; anywhere else one message says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

LOG=/var/log/the0-dockerd.log
WAIT_SEC=60

engine_answers() {
  .venv/bin/python - 2>/dev/null <<'PYTHON'
import docker
docker.from_env(timeout=10).ping()
PYTHON
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    say "Starting Docker: systemctl enable --now docker"
    systemctl enable --now docker >&2
  else
    say "Starting Docker in the background (no systemd here); its log is $LOG"
    setsid dockerd >>"$LOG" 2>&1 </dev/null &
  fi
}

await_engine() {
  for _ in $(seq "$WAIT_SEC"); do
    engine_answers && return 0
    sleep 1
  done
  [ -f "$LOG" ] && tail -n 20 "$LOG" >&2
  die "Docker was started but does not answer after $WAIT_SEC s. See $LOG or: journalctl -u docker"
}

packages=()
# The base image comes from Debian's packages where no registry can be reached.
command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)

if ! engine_answers; then
  [ -z "${DOCKER_HOST:-}" ] || die "No Docker engine answers at DOCKER_HOST=$DOCKER_HOST. Start it, or unset DOCKER_HOST."
  if ! command -v dockerd >/dev/null; then
    can_apt || die "No Docker engine answers. Install Docker Engine (https://docs.docker.com/engine/install/), start it, and see to it that you may use it ('docker info')."
    packages+=(docker.io iptables)
    # With AppArmor in the kernel, an engine without its parser cannot start containers.
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then packages+=(apparmor); fi
  fi
  [ "$(id -u)" = 0 ] || die "Docker is installed but does not answer to you. Start it (sudo systemctl start docker) and join its group (sudo usermod -aG docker $USER)."
fi

if [ ${#packages[@]} -gt 0 ] && can_apt; then
  say "Installing with apt-get: ${packages[*]}"
  apt_install "${packages[@]}"
fi
engine_answers || { start_engine; await_engine; say "Docker answers"; }

#!/usr/bin/env bash
# Makes .venv with the platform, its plugins and the development tools, all editable.
# Quick when nothing changed: a stamp holds a digest of what the installation depends on.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh

python=$(command -v "${PYTHON:-python3.11}" || command -v python3 || true)
[ -n "$python" ] || die "Python 3.11 is needed: install python3.11, or set PYTHON to where it is."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "Python 3.11 or later is needed; $python is $("$python" --version 2>&1). Set PYTHON to another."

mkdir -p .venv
exec 9>.venv/.setup.lock
flock 9

projects=(pyproject.toml plugins/*/pyproject.toml)
for index in "${!projects[@]}"; do [ -f "${projects[index]}" ] || unset "projects[index]"; done
stamp=$({ pwd; "$python" --version; cat "${projects[@]}"; } | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/pip ] && [ "$(cat .venv/.setup.stamp 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  can_apt || die "Python's venv module is missing: install the package python${version}-venv."
  say "Installing python${version}-venv (the stock Python of Debian comes without it)"
  apt_install "python${version}-venv"
fi

[ -x .venv/bin/pip ] || { say "Making .venv with $("$python" --version)"; "$python" -m venv .venv; }
targets=(-e '.[dev,local]')
for project in "${projects[@]:1}"; do targets+=(-e "$(dirname "$project")"); done
say "Installing the platform, its plugins and tools into .venv (a minute or two the first time)"
.venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
  "${targets[@]}" | sed -un 's/^Collecting \([^ <>=!~;]*\).*/  \1/p; /^Successfully installed/s/.*/  done/p'
echo "$stamp" >.venv/.setup.stamp

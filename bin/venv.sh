# Sourced by bin/demo and bin/test.

# newest_python: print the newest interpreter of PATH that ansible-core supports; one that only pretends (a pyenv shim) is passed over.
newest_python() {
    for name in ${PYTHON-} python3.14 python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
        [ "$name" != "${PYTHON-}" ] || break
    done
    echo "No Python >= 3.11 ${PYTHON:+at $PYTHON }on PATH. Install one, for example: sudo apt-get install -y python3.11 python3.11-venv python3.11-dev" >&2
    exit 1
}

# use_utf8: Ansible needs a locale with UTF-8 (LC_ALL=C, as cron and minimal images have it, is none). The doctor speaks the caller's language.
use_utf8() {
    "$python" -c 'import locale as l; l.setlocale(l.LC_ALL, ""); exit(l.getlocale()[1] != "UTF-8")' 2>/dev/null && return
    export CHECKS_LOCALE="${LC_ALL:-${LC_MESSAGES:-${LANG-}}}" LC_ALL=C.UTF-8
}

# make_venv DIRECTORY LOCK: build a virtual environment from a lock with hashes, unless it is there already; of two runs the second waits.
make_venv() {
    python=$(newest_python)
    use_utf8
    want="$(cksum <"$2") $python"
    [ "$(cat "$1/.complete" 2>/dev/null)" != "$want" ] || return 0
    mkdir -p "$(dirname "$1")"
    exec 9>"$1.lock"
    if ! "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null; then
        echo "Another run installs into $1; waiting for it"
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    fi
    if [ "$(cat "$1/.complete" 2>/dev/null)" != "$want" ]; then
        echo "Installing $2 into $1 with $python"
        if ! "$python" -m venv --clear "$1"; then
            echo "$python cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install -y python3-venv" >&2
            exit 1
        fi
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --requirement "$2"
        echo "$want" >"$1/.complete"
    fi
    exec 9>&-
}

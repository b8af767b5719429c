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

# make_venv DIRECTORY LOCK: build a virtual environment from a lock with hashes, unless it is there already.
make_venv() {
    python=$(newest_python)
    want="$(cksum <"$2") $python"
    [ "$(cat "$1/.complete" 2>/dev/null)" != "$want" ] || return 0
    echo "Installing $2 into $1 with $python"
    if ! "$python" -m venv --clear "$1"; then
        echo "$python cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install -y python3-venv" >&2
        exit 1
    fi
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --requirement "$2"
    echo "$want" >"$1/.complete"
}

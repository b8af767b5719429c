#!/bin/sh
# with-secrets [WORD…] -- COMMAND…: run a command with variables that only their owner can read. A word is
#   FILE       with variables; "-FILE" may be missing
#   name:NAME  a variable that a later file need not set, for a dry run before there are files
#   user:NAME  root runs the command as that user, and none of its own with these variables (PATH, LD_PRELOAD)
#   id:ID      ignored: another secret is another command line, so that supervisord sees a change
set -e
user='' values=''
while [ "$1" != -- ]; do
    case $1 in
    id:*) ;;
    user:*) user=${1#user:} ;;
    name:*) values="$values${1#name:}=unknown
" ;;
    -*) [ ! -e "${1#-}" ] || values="$values$(cat "${1#-}")
" ;;
    *) values="$values$(cat "$1")
" ;;
    esac
    shift
done
shift
if [ "$user" ]; then
    printf %s "$values" | runuser -u "$user" -- /bin/sh -c 'set -a; eval "$(cat)"; set +a; exec "$@" </dev/null' sh "$@"
else
    set -a
    eval "$values"
    exec "$@"
fi

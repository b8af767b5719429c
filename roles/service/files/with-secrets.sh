#!/bin/sh
# with-secrets [id:ID] [-]FILE… -- COMMAND…: run a command with the variables of files that only their owner reads; a file behind "-" may be
# missing. The id of what is in them only makes another command line of another secret, so that supervisord sees the change.
set -ae
while [ "$1" != -- ]; do
    case $1 in
    id:*) ;;
    -*) [ ! -e "${1#-}" ] || . "${1#-}" ;;
    *) . "$1" ;;
    esac
    shift
done
shift
exec "$@"

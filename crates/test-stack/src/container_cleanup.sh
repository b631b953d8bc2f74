# shellcheck shell=sh
# Removes the containers of a test process, with their volumes, after the process has ended for any reason.
# Argument: the value of the containers' label. Standard input is a pipe whose other end the test process holds.
exec 3<&0
(
  read -r _ <&3
  # Until ten listings in a row, a second apart, were empty: the engine may still be creating a container when the test process dies, a
  # listing or a removal may fail, and a removal may take long. After two minutes an engine that does not answer is given up.
  end=$(($(date +%s) + 120)) empty=0
  while [ "$empty" -lt 10 ] && [ "$(date +%s)" -lt "$end" ]; do
    if ! found=$(timeout 30 docker ps --all --quiet --filter "label=saga-sandbox.test=$1"); then
      empty=0
    elif [ -z "$found" ]; then
      empty=$((empty + 1))
    else
      empty=0
      printf '%s\n' "$found" | timeout 60 xargs docker rm --force --volumes
    fi
    sleep 1
  done
) </dev/null >/dev/null 2>&1 &
# This shell ends now. Its background process is then no descendant of the test process, so killing the test with
# all its descendants does not kill the cleanup.

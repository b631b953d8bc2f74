# shellcheck shell=sh
# Runs one program in a session of its own and writes down how it ended.
# Arguments: LOG EXIT_FILE FOLDER_TO_REMOVE PROGRAM [ARGUMENT]...
#   FOLDER_TO_REMOVE: "" for a program that outlives its starter. Else standard input is a pipe whose other end the starter
#   holds: when that closes, however the starter ended, the program is killed and the folder removed.
# Prints the program's process id, then nothing more.
log=$1 exit_file=$2 remove=$3
shift 3
exec 2>>"$log"
"$@" </dev/null >>"$log" 2>&1 &
program=$!
if [ -n "$remove" ]; then
  exec 3<&0
  (
    read -r _ <&3
    # The keeper first: it would take the program's end for an end like any other, and end this.
    kill -KILL "$$" "$program"
    # What had to be put elsewhere is noted in the folder, one a line, without spaces.
    elsewhere=$(cat "$remove/outside" 2>/dev/null)
    # Whoever still writes there is dying too: a later look finds nothing left.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      # shellcheck disable=SC2086
      rm -rf "$remove" $elsewhere && break
      sleep 0.2
    done
    kill -KILL 0
  ) >/dev/null 2>&1 &
  guard=$!
  exec 3<&-
fi
echo "$program"
exec >/dev/null </dev/null
# The shell's own remark on a kill ("Killed") would hide the program's last line in its log.
wait "$program" 2>/dev/null
code=$?
echo "$code" >"$exit_file.new" && mv "$exit_file.new" "$exit_file"
if [ -n "$remove" ]; then kill -KILL "$guard" 2>/dev/null; fi

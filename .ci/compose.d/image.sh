# shellcheck shell=bash
# The files, and the image that is built of them.

valid_for_both() {
  docker compose config --quiet
  docker-compose config --quiet
}

no_floating_tags() {
  ! grep -nE 'image:.*(:latest|bitnami)' docker-compose.yml
}

image_is_small() {
  local bytes
  bytes=$(docker history --human=false --format '{{.Size}}' "$SANDBOX_IMAGE" | awk '{ sum += $1 } END { print sum }')
  echo "image: $((bytes / 1000000)) MB, of it ours: $(docker history --human=false --format '{{.Size}}' "$SANDBOX_IMAGE" | awk '$1 > 0 { print int($1 / 1000000); exit }') MB"
  [ "$bytes" -lt 175000000 ]
}

# was_cached LOG COMMAND: whether the step RUN COMMAND… of a build was taken from the cache.
was_cached() {
  local number
  number=$(sed -n "/^#[0-9]* \[[^]]*\] RUN $2/{s/^#\([0-9]*\) .*/\1/p;q}" "$1")
  grep -qx "#$number CACHED" "$1"
}

# Only the layers of the services are built anew.
one_line_rebuild() {
  local copy=$work/copy log=$work/rebuild.log began step
  mkdir "$copy"
  git ls-files -z | xargs -0 cp --parents -t "$copy"
  # Compose may have built with another builder, whose cache this one does not have.
  docker build --quiet --tag "$SANDBOX_IMAGE-second" "$copy" >/dev/null
  # A line of this run: the one of a run before would be in the cache.
  printf '\n// %s\n' "$COMPOSE_PROJECT_NAME" >>"$copy/inventory-service/src/lib.rs"
  began=$SECONDS
  docker build --progress=plain --tag "$SANDBOX_IMAGE-second" "$copy" >"$log" 2>&1 || { tail -n 20 "$log"; return 1; }
  echo "rebuild after one line: $((SECONDS - began)) s"
  # The compiler, the crates of others, our libraries, the tool.
  for step in 'apt-get update' 'for crate in' 'find shared-events' 'find sandbox-cli'; do
    was_cached "$log" "$step" || { echo "built anew: RUN $step"; grep -E '^#[0-9]+ (\[|CACHED)' "$log"; return 1; }
  done
  grep -q 'RUN find inventory-service' "$log" || { echo 'there is no step of the services'; return 1; }
  if was_cached "$log" 'find inventory-service'; then echo 'the services were not built anew'; return 1; fi
}

check 'docker-compose.yml is valid for Compose 2 and 1.29' valid_for_both
check 'images have versions' no_floating_tags
check 'fetch builds the image' sandbox fetch
check 'the image is small' image_is_small
check 'one changed line rebuilds the services alone' one_line_rebuild

# shellcheck shell=bash
# The Compose files and the image.

valid_for_both() {
  docker compose config --quiet
  docker-compose config --quiet
}

no_floating_tags() {
  ! grep -nE '(image:|FROM ).*(:latest|bitnami)' docker-compose.yml Dockerfile {prometheus,grafana,load-generator/k6}/Dockerfile
}

image_is_small() {
  local bytes
  bytes=$(docker history --human=false --format '{{.Size}}' "$SANDBOX_IMAGE" | awk '{ sum += $1 } END { print sum }')
  echo "image: $((bytes / 1000000)) MB, of it ours: $(docker history --human=false --format '{{.Size}}' "$SANDBOX_IMAGE" | awk '$1 > 0 { print int($1 / 1000000); exit }') MB"
  [ "$bytes" -lt 190000000 ]
}

# was_cached LOG COMMAND: true when the cache had the step RUN COMMAND… of a build.
was_cached() {
  local number
  number=$(sed -n "/^#[0-9]* \[[^]]*\] RUN $2/{s/^#\([0-9]*\) .*/\1/p;q}" "$1")
  grep -qx "#$number CACHED" "$1"
}

# Only the layers of the services and after them are built again.
one_line_rebuild() {
  local copy=$work/copy log=$work/rebuild.log began step
  mkdir "$copy"
  git ls-files -z | xargs -0 cp --parents -t "$copy"
  # Compose may have built with another builder, whose cache this one does not have.
  docker build --build-arg CARGO_PROFILE_RELEASE_OPT_LEVEL --quiet --tag "$SANDBOX_IMAGE-second" "$copy" >/dev/null
  # A line that no earlier run has added: its layers would be in the cache.
  printf '\n// %s\n' "$COMPOSE_PROJECT_NAME" >>"$copy/inventory-service/src/lib.rs"
  began=$SECONDS
  docker build --build-arg CARGO_PROFILE_RELEASE_OPT_LEVEL --progress=plain --tag "$SANDBOX_IMAGE-second" "$copy" >"$log" 2>&1 || { tail -n 20 "$log"; return 1; }
  echo "rebuild after one line: $((SECONDS - began)) s"
  for step in 'apt-get update' ': crates of others' ': libraries' ': tool'; do
    was_cached "$log" "$step" || { echo "built again: RUN $step"; grep -E '^#[0-9]+ (\[|CACHED)' "$log"; return 1; }
  done
  grep -q 'RUN : services' "$log" || { echo 'there is no step of the services'; return 1; }
  if was_cached "$log" ': services'; then echo 'the services were not built again'; return 1; fi
}

check 'docker-compose.yml is valid for Compose 2 and 1.29' valid_for_both
check 'images have versions' no_floating_tags
check 'fetch builds the images' sandbox fetch
# .ci/run waits for it.
if [ -n "${SANDBOX_CI_IMAGE:-}" ]; then touch "$SANDBOX_CI_IMAGE"; fi
check 'the image is small' image_is_small
check 'one changed line rebuilds the services alone' one_line_rebuild

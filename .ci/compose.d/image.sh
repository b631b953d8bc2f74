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

# Only the layer of the services is built anew.
one_line_rebuild() {
  local copy=$work/copy began
  mkdir "$copy"
  git ls-files -z | xargs -0 cp --parents -t "$copy"
  printf '\n// Another line.\n' >>"$copy/inventory-service/src/lib.rs"
  began=$SECONDS
  docker build --quiet --tag "$SANDBOX_IMAGE-second" "$copy" >/dev/null
  echo "rebuild after one line: $((SECONDS - began)) s"
  [ $((SECONDS - began)) -lt 300 ]
}

check 'docker-compose.yml is valid for Compose 2 and 1.29' valid_for_both
check 'images have versions' no_floating_tags
check 'fetch builds the image' sandbox fetch
check 'the image is small' image_is_small
check 'one changed line rebuilds one layer' one_line_rebuild

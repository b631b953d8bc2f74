# One builder for all binaries, and one small image whose command names the binary to run.
#
# Layers from what changes least to what changes most: the crates of others, our libraries, the tool, the services, lag-monitor.
# The stage `sources` divides the checkout, so that a new crate or service needs no line here. The builder caches a COPY by the
# content of its files: a changed service leaves the layers before the services as they are.
FROM debian:bookworm-slim AS sources
WORKDIR /checkout
COPY . .
# Manifests with empty sources, then each part in a folder of its own.
RUN for file in */Cargo.toml crates/*/Cargo.toml; do \
      crate=${file%/*}; mkdir -p "/parts/manifests/$crate/src"; cp "$file" "/parts/manifests/$crate/"; \
      if [ -e "$crate/src/main.rs" ]; then echo 'fn main() {}' >"/parts/manifests/$crate/src/main.rs"; fi; \
      if [ -e "$crate/src/lib.rs" ] || [ ! -e "$crate/src/main.rs" ]; then : >"/parts/manifests/$crate/src/lib.rs"; fi; \
    done \
 && mv Cargo.toml Cargo.lock /parts/manifests/ \
 && cd /parts && mkdir libraries libraries/crates tool tool/crates services lag-monitor && cd /checkout \
 && rm -rf crates/test-stack crates/e2e \
 && for crate in audit bench faults sandbox-cli scenario-runner stack; do \
      if [ -d "crates/$crate" ]; then mv "crates/$crate" /parts/tool/crates/; fi; \
    done \
 && mv crates/* /parts/libraries/crates/ && mv shared-events /parts/libraries/ \
 && mv lag-monitor scenarios /parts/lag-monitor/ \
 && rmdir crates && mv ./* /parts/services/

FROM rust:1.95-slim-bookworm AS build
# librdkafka is C, and its configure script needs a C++ compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Cargo reads it. Unset, the profile of Cargo.toml applies.
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
# The same arguments in each step: others would select other features and build everything again. Without the crates of tests, whose
# features would make the binaries larger. Cargo rebuilds a source only if it is newer than the last build: hence `touch`.
ENV BUILD="find /new -name '*.rs' -exec touch {} + && cp -a /new/. . && rm -rf /new \
  && cargo build --release --locked --bins --workspace --exclude test-stack --exclude e2e"

COPY --from=sources /parts/manifests /new
RUN : crates of others; eval "$BUILD"
COPY --from=sources /parts/libraries /new
RUN : libraries; eval "$BUILD"
COPY --from=sources /parts/tool /new
RUN : tool; eval "$BUILD"
COPY --from=sources /parts/services /new
RUN : services; eval "$BUILD"
# The last one: lag-monitor contains the scenarios, and a changed README should not rebuild the services.
COPY --from=sources /parts/lag-monitor /new
RUN : lag-monitor; eval "$BUILD" \
 && mkdir /binaries && find target/release -maxdepth 1 -type f -executable -exec cp {} /binaries/ ';'

FROM debian:bookworm-slim
COPY --from=build /binaries /usr/local/bin/
# Loopback in a container is the container alone. docker-compose.yml decides which ports the host publishes.
ENV BIND_ADDR=0.0.0.0
# A number: Kubernetes can check only of numbers that they are not root.
USER 10001:10001
CMD ["sandbox", "--help"]

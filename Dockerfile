# One builder for all binaries, and one small image whose command names the one to run.
#
# Layers from what changes least to what changes most: the crates of others, our libraries, the tool, the services.
FROM rust:1.95-slim-bookworm AS build

# The same for each step: other arguments would choose other features and build everything anew. By name, and not the whole
# workspace: what only tests need would make the binaries larger.
ENV BUILD="cargo build --release --locked --bins \
  --package inventory-service --package lag-monitor --package load-generator --package order-service --package payment-service --package sandbox-cli"

# librdkafka is C, and what configures it refuses to go on without a C++ compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# Manifests with empty sources.
COPY Cargo.toml Cargo.lock ./
COPY cluster-reader/Cargo.toml cluster-reader/
COPY inventory-service/Cargo.toml inventory-service/
COPY lag-monitor/Cargo.toml lag-monitor/
COPY load-generator/Cargo.toml load-generator/
COPY local-runtime/Cargo.toml local-runtime/
COPY messaging/Cargo.toml messaging/
COPY order-service/Cargo.toml order-service/
COPY payment-service/Cargo.toml payment-service/
COPY sandbox-cli/Cargo.toml sandbox-cli/
COPY service-kit/Cargo.toml service-kit/
COPY shared-events/Cargo.toml shared-events/
COPY test-stack/Cargo.toml test-stack/
RUN for crate in */; do mkdir "$crate/src" && echo '//! Empty.' >"$crate/src/lib.rs"; done \
 && rm sandbox-cli/src/lib.rs \
 && for crate in *-service lag-monitor load-generator sandbox-cli; do printf '//! Empty.\nfn main() {}\n' >"$crate/src/main.rs"; done \
 && $BUILD

# Cargo takes a source for unchanged that is older than what was built from its empty forerunner: hence `touch`.
COPY shared-events shared-events
COPY service-kit service-kit
COPY messaging messaging
COPY cluster-reader cluster-reader
COPY local-runtime local-runtime
RUN find shared-events service-kit messaging cluster-reader local-runtime -name '*.rs' -exec touch {} + \
 && $BUILD

COPY sandbox-cli sandbox-cli
RUN find sandbox-cli -name '*.rs' -exec touch {} + \
 && $BUILD

COPY inventory-service inventory-service
COPY load-generator load-generator
COPY order-service order-service
COPY payment-service payment-service
RUN find inventory-service load-generator order-service payment-service -name '*.rs' -exec touch {} + \
 && $BUILD

# By itself: the scenarios are part of it, and who changes a README need not wait for the shop.
COPY scenarios scenarios
COPY lag-monitor lag-monitor
RUN find lag-monitor -name '*.rs' -exec touch {} + \
 && $BUILD

FROM debian:bookworm-slim
COPY --from=build \
  /src/target/release/inventory-service \
  /src/target/release/lag-monitor \
  /src/target/release/load-generator \
  /src/target/release/order-service \
  /src/target/release/payment-service \
  /src/target/release/sandbox \
  /usr/local/bin/
# Loopback in a container is the container alone. What the host publishes is docker-compose.yml's to say.
ENV BIND_ADDR=0.0.0.0
# A number: Kubernetes can tell only of numbers that they are not root.
USER 10001:10001
CMD ["sandbox", "--help"]

# The image holds the program and the certificates of public authorities, nothing else of ours.
# docs/containers.md says how to run it.

FROM rust:1.95-slim-bookworm AS builder
WORKDIR /src

# Dependencies change seldom: they are a layer of their own, built with an empty crate in place of ours.
# The manifest names the tests, too.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
    && touch src/lib.rs tests/it/main.rs \
    && echo 'fn main() {}' >src/main.rs \
    && cargo build --release --locked --no-default-features \
    && cargo clean --release --package twofold

COPY config config
COPY migrations migrations
COPY src src
COPY build.rs build.rs
RUN cargo build --release --locked --no-default-features

FROM debian:bookworm-slim

# The number is fixed, so that volumes keep their owner and an orchestrator sees that it isn't root.
RUN groupadd --gid 10001 twofold \
    && useradd --uid 10001 --gid twofold --no-create-home --home-dir /app --shell /usr/sbin/nologin twofold \
    && install --directory --owner twofold --group twofold --mode 0700 /app/.data /app/logs

COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=builder /src/target/release/twofold /usr/local/bin/twofold

USER 10001:10001
WORKDIR /app
ENV TWOFOLD_ENV=production
VOLUME ["/app/.data", "/app/logs"]
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["twofold", "health"]
ENTRYPOINT ["twofold"]
CMD ["serve"]

# What changes with each build comes last, so that no layer is built again for it.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Twofold" \
    org.opencontainers.image.description="One process, two APIs: a public client API and a guarded backoffice API" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"

# The action's image: one static binary on an empty root.
#   docker build .                                builds it from source, as a workflow on GitHub does
#   docker build --build-arg BINARY=prebuilt .    takes dist/ARCH/, laid out by tests/setup/static_binary.sh (`make image`)
# BuildKit skips the stage nobody asks for.
ARG BINARY=build

# A musl toolchain, so what it builds by default is static. Only what the binary is made of is copied: tests do not invalidate the layer.
FROM rust:1.95.0-alpine3.22 AS build
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
RUN cargo build --locked --release --bin touchdown \
    && mkdir -p /out/tmp && chmod 1777 /out/tmp \
    && cp target/release/touchdown /out/touchdown && ln -s touchdown /out/touchdown-post

FROM scratch AS prebuilt
ARG TARGETARCH
COPY dist/${TARGETARCH}/ /out/

FROM ${BINARY} AS binary

# No USER: the runner's command files belong to its own user and only root may write them. No certificates: they are compiled in.
FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Touchdown" \
      org.opencontainers.image.description="Deploys a container image, proves the new build serves, rolls back what it cannot prove" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=binary /out/ /
ENTRYPOINT ["/touchdown"]

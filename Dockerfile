# One image for the engine, the mock API and the generator: which it is says the command.
FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p thm --bin thm && cp target/release/thm /usr/local/bin/thm

FROM debian:bookworm-slim
# The folders belong to the user before a volume is mounted over them: a new volume takes their owner.
RUN useradd --system --uid 10001 --home-dir /var/lib/thm thm \
    && install -d -o thm -g thm /var/lib/thm /var/lib/thm-api /etc/thm
COPY --from=build /usr/local/bin/thm /usr/local/bin/thm
COPY docker/thm.toml /etc/thm/thm.toml
COPY connectors /etc/thm/connectors
COPY flink /etc/thm/flink
USER thm
WORKDIR /var/lib/thm
ENV THM_CONFIG=/etc/thm/thm.toml
VOLUME ["/var/lib/thm"]
EXPOSE 8081 8083 9092 19092
HEALTHCHECK --interval=5s --timeout=6s --start-period=10s --retries=6 CMD ["thm", "health"]
ENTRYPOINT ["thm"]
CMD ["run"]

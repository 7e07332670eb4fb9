FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/auth-agent /usr/local/bin/auth-agent
# Say in AUTH_AGENT_ISSUER which https address the world uses; see docs/operations.md.
ENV AUTH_AGENT_LISTEN=0.0.0.0:8080 AUTH_AGENT_DATA_DIR=/data/auth-agent
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["auth-agent"]
CMD ["serve"]

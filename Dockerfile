# A relay as a container: docs/containers.md says how to run it.
#
#   docker build -t rivulet .

FROM denoland/deno:2.9.6 AS build
WORKDIR /checkout
COPY . .
# The source, and everything that it imports, in the versions of deno.lock. Nothing is
# fetched when it runs.
RUN deno task tree /app
RUN mkdir /data && chown 65532:65532 /data

FROM denoland/deno:distroless-2.9.6
COPY --from=build /app /app
COPY --from=build --chown=65532:65532 /data /data
WORKDIR /app
ENV DENO_DIR=/app/.deno DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
# Nobody in particular; /data is all that this user may write.
USER 65532:65532
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["deno", "eval", "--no-config", "const { ok } = await fetch('http://127.0.0.1:8787/healthz'); Deno.exit(ok ? 0 : 1)"]
ENTRYPOINT ["deno", "run", "--cached-only", "--no-prompt", "--v8-flags=--max-semi-space-size=8", "--allow-net", "--allow-env=RIVULET_*,WS_NO_BUFFER_UTIL,OPENAI_API_KEY,ANTHROPIC_API_KEY", "--allow-read=/data,/run/secrets,/proc/self/cgroup,/sys/fs/cgroup", "--allow-write=/data", "--allow-sys=systemMemoryInfo,osUptime", "relay/main.ts"]
CMD ["--host", "0.0.0.0", "--jwt-key-file", "/run/secrets/jwt_key", "--store", "sqlite:/data/store.db", "--drain", "20s"]

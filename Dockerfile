# The images of a release: a target a service, `platform` for a whole site on one host, and `model-server` for SageMaker, Azure ML and Vertex AI.
#   docker build --target ingestion-service --build-arg SDKS="aws postgres" -t tribo/ingestion-service .
# SDKS are folders of sdks/: those of the clouds that the site's ports file names, and none where everything is embedded.
FROM node:24.21.0-bookworm-slim@sha256:d6aa754f16b3197301076f047b5def2f02ea1dbbc2ca920407d46d7ec7f87b20 AS node

FROM node AS manifests
WORKDIR /srv/tribo
COPY package.json package-lock.json .npmrc ./
COPY sdks sdks

# No package that runs here needs a script at its installation: of those that have one each brings what it would fetch as a package of its own.
FROM manifests AS dependencies
ARG SDKS=""
RUN --mount=type=cache,target=/root/.npm \
  for sdk in $SDKS; do set -- "$@" --workspace "sdks/$sdk"; done; \
  npm ci --omit=dev --ignore-scripts --no-audit --no-fund ${SDKS:+--workspaces=null --include-workspace-root} "$@" \
  && find . -name '*.map' -delete

FROM manifests AS page
RUN --mount=type=cache,target=/root/.npm \
  npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY core core
COPY services/shared services/shared
COPY services/api-gateway/schemas services/api-gateway/schemas
COPY services/frontend services/frontend
RUN node services/frontend/build.js

FROM node AS service
ENV NODE_ENV=production \
  TRIBO_DATA_DIR=/var/lib/tribo \
  TRIBO_DEMO=false \
  TRIBO_OPERATION_PORT=8081
# The authorities of RDS: where AWS adds one the build stops here, and the new bundle is looked at before its checksum is put in.
ADD --chmod=0444 --checksum=sha256:e5bb2084ccf45087bda1c9bffdea0eb15ee67f0b91646106e466714f9de3c7e3 \
  https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem /etc/tribo/rds-authorities.pem
RUN install --directory --owner=1000 --group=1000 --mode=0750 /var/lib/tribo
WORKDIR /srv/tribo
COPY --from=dependencies /srv/tribo ./
COPY core core
COPY adapters adapters
COPY services/shared services/shared
# The settings of the simulator are known to every service, and its machines to those of the demo plant.
COPY services/edge-simulator services/edge-simulator
USER 1000:1000
VOLUME /var/lib/tribo
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "services/shared/process/check-health.ts", "8081"]

FROM service AS ingestion-service
COPY services/ingestion-service services/ingestion-service
# At Google Cloud the function that hands readings to intake runs from this image, by a command of its own.
COPY services/functions/sensor-data-processor services/functions/sensor-data-processor
CMD ["node", "services/ingestion-service/main.ts"]

FROM service AS timeseries-service
COPY services/timeseries-service services/timeseries-service
CMD ["node", "services/timeseries-service/main.ts"]

FROM service AS feature-service
COPY services/feature-service services/feature-service
CMD ["node", "services/feature-service/main.ts"]

FROM service AS ml-service
COPY services/ml-service services/ml-service
CMD ["node", "services/ml-service/main.ts"]

FROM service AS alert-engine
COPY services/alert-engine services/alert-engine
CMD ["node", "services/alert-engine/main.ts"]

FROM service AS api-gateway
COPY services/api-gateway services/api-gateway
COPY --from=page /srv/tribo/services/frontend/dist services/frontend/dist
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "services/shared/process/check-health.ts", "8080"]
CMD ["node", "services/api-gateway/main.ts"]

# Simulated machines: devices of a platform that is elsewhere.
FROM service AS edge-simulator
ENV TRIBO_SIMULATOR_DATA_DIR=/var/lib/tribo
CMD ["node", "services/edge-simulator/main.ts"]

# Every service of a site on one host (compose.yaml).
FROM service AS platform
COPY services services
COPY --from=page /srv/tribo/services/frontend/dist services/frontend/dist
EXPOSE 1883 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "services/shared/process/check-health.ts", "8080"]
CMD ["node", "--max-semi-space-size=32", "services/platform/bin/tribo.js", "start"]

# The cloud's own front ends TLS and asks who calls: nothing but it reaches this port. SageMaker appends the argument `serve`.
FROM service AS model-server
COPY services/model-server services/model-server
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "services/shared/process/check-health.ts", "8080"]
ENTRYPOINT ["node", "services/model-server/main.ts", "--host", "0.0.0.0"]

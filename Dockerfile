# An image with imgflow alone: docker build -t imgflow . && docker run --rm imgflow version
# With --target fleet it has imgflow-fleet instead, which is a worker, too.
# It has no guests for --local, and no Ansible: for these it is a base to begin with.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -buildid= -X github.com/imgflow/imgflow/internal/cli.version=${VERSION}" -o / ./cmd/imgflow ./cmd/imgflow-fleet \
 && mkdir -p /rootfs/tmp /rootfs/home/imgflow && chmod 1777 /rootfs/tmp

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /rootfs/tmp /tmp
COPY --from=build --chown=65532:65532 /rootfs/home/imgflow /home/imgflow
USER 65532:65532
ENV HOME=/home/imgflow
WORKDIR /home/imgflow

FROM base AS fleet
COPY --from=build /imgflow-fleet /usr/bin/imgflow-fleet
ENTRYPOINT ["/usr/bin/imgflow-fleet"]

FROM base
COPY --from=build /imgflow /usr/bin/imgflow
ENTRYPOINT ["/usr/bin/imgflow"]

# An image with imgflow alone: docker build -t imgflow . && docker run --rm imgflow version
# It has no guests for --local, and no Ansible: for these it is a base to begin with.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -buildid= -X github.com/imgflow/imgflow/internal/cli.version=${VERSION}" -o /imgflow ./cmd/imgflow \
 && mkdir -p /rootfs/tmp /rootfs/home/imgflow && chmod 1777 /rootfs/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /rootfs/tmp /tmp
COPY --from=build --chown=65532:65532 /rootfs/home/imgflow /home/imgflow
COPY --from=build /imgflow /usr/bin/imgflow
USER 65532:65532
ENV HOME=/home/imgflow
WORKDIR /home/imgflow
ENTRYPOINT ["/usr/bin/imgflow"]

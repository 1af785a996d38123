// Temporaldev is a real Temporal server for tests and for trying things by
// hand: one process, SQLite in a directory, 127.0.0.1 alone.
//
//	temporaldev DIR
//
// prints the host:port that clients dial when it answers there, and ends when
// its standard input does, so that it never outlives who has started it. What
// it has stored is in DIR, its ports too: after a kill, the same command goes on
// with the same workflows at the same address.
//
// It is a module of its own, because the server has hundreds of dependencies
// that nothing else of this repository needs. Package internal/temporaltest
// builds and starts it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	host = "127.0.0.1"
	// namespace is there from the beginning.
	namespace = "default"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: temporaldev DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "temporaldev: cannot serve:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ports, err := portsOf(dir)
	if err != nil {
		return err
	}
	store, err := database(filepath.Join(dir, "temporal.db"))
	if err != nil {
		return err
	}
	srv, err := temporal.NewServer(
		temporal.WithConfig(configuration(ports, store)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts(ports)),
		temporal.WithLogger(log.NewZapLogger(log.BuildZapLogger(log.Config{Level: "error", OutputFile: filepath.Join(dir, "server.log")}))),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamicconfig.StaticClient{
			// A search attribute is there as soon as it was added.
			dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
			dynamicconfig.MatchingEnableFairness.Key():                  true,
		}),
	)
	if err != nil {
		return err
	}
	if err := srv.Start(); err != nil {
		return err
	}
	if err := answers(ports["frontend"]); err != nil {
		return err
	}
	fmt.Printf("%s:%d\n", host, ports["frontend"])

	// It is not stopped in good order: what was committed is on the disk.
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// portsOf returns the port of each service: those of an earlier start in dir,
// otherwise free ones, which are stored. They are below those that the system
// hands out by itself, so that nobody has taken one in between.
func portsOf(dir string) (map[primitives.ServiceName]int, error) {
	file := filepath.Join(dir, "ports.json")
	ports := map[primitives.ServiceName]int{}
	text, err := os.ReadFile(file)
	if err == nil {
		return ports, json.Unmarshal(text, &ports)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, service := range temporal.DefaultServices {
		name := primitives.ServiceName(service)
		for tries := 0; ports[name] == 0; tries++ {
			l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, 15000+rand.IntN(16000)))
			if err != nil && tries > 100 {
				return nil, err
			}
			if err == nil {
				defer l.Close()
				ports[name] = l.Addr().(*net.TCPAddr).Port
			}
		}
	}
	if text, err = json.Marshal(ports); err != nil {
		return nil, err
	}
	return ports, os.WriteFile(file, text, 0o600)
}

// database returns how SQLite is used, and makes its tables and the namespace
// where they are not there yet.
func database(file string) (*config.SQL, error) {
	store := &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: file,
		// With a write-ahead log a killed process loses nothing that was
		// committed, without waiting for the disk at each commit.
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "normal", "busy_timeout": "10000"},
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := sqlite.SetupSchema(store); err != nil {
			return nil, err
		}
	}
	ns, err := sqlite.NewNamespaceConfig(clusterName, namespace, false, nil)
	if err != nil {
		return nil, err
	}
	return store, sqlite.CreateNamespaces(store, ns)
}

const clusterName = "active"

func configuration(ports map[primitives.ServiceName]int, store *config.SQL) *config.Config {
	frontend := fmt.Sprintf("%s:%d", host, ports[primitives.FrontendService])
	services := map[string]config.Service{}
	for name, port := range ports {
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: host}}
	}
	off := "disabled"
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore: store.PluginName, VisibilityStore: store.PluginName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{store.PluginName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: clusterName, CurrentClusterName: clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		PublicClient:        config.PublicClient{HostPort: frontend},
		Archival: config.Archival{
			History: config.HistoryArchival{State: off}, Visibility: config.VisibilityArchival{State: off},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: off},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: off},
		}},
	}
}

func hosts(ports map[primitives.ServiceName]int) map[primitives.ServiceName]static.Hosts {
	all := map[primitives.ServiceName]static.Hosts{}
	for name, port := range ports {
		all[name] = static.SingleLocalHost(fmt.Sprintf("%s:%d", host, port))
	}
	return all
}

// answers waits until the server serves the namespace.
func answers(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		c, err := client.DialContext(ctx, client.Options{HostPort: fmt.Sprintf("%s:%d", host, port)})
		if err == nil {
			defer c.Close()
			_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
